/*
 * The lease protocol of a refresh (docs/decisions/0012-refresh-lease.md), for `npm run spec`.
 *
 * N replicas refresh one connection, ROUNDS times each. A replica may be killed, or freeze for any time, before and after
 * every step; a frozen one goes on where it was. The provider is slow, loses an answer on its way, or has rotated the
 * refresh token before the answer was lost. A lease may end at any moment, a token may expire at any moment, and once
 * somebody may store another grant, or put the tokens back that were stored first.
 *
 * Steps have the names of the functions: claimRefresh, releaseRefresh, commitRefresh and failRefresh in src/vault/,
 * requestTokens in src/oauth/, readToken for what a reader of the API does. What is atomic here is one transaction there.
 *
 * Each MUTANT_ takes one rule of the protocol away, and has to be found out: else the model would prove nothing.
 */

#ifndef N
#define N 2
#endif
#ifndef ROUNDS
#define ROUNDS 1
#endif

/* Tokens are numbered as the provider issues them; 0 is the one that was stored first, and OTHER that of another grant. */
#define OTHER 1
#define FIRST_ISSUED 2
/* One for each refresh, two for a replica that tries a second candidate, and the two of the last replica. */
#define TOKENS 16
#define BIT(token) (1 << (token))
#define NOBODY 255
/* As many refusals in a row as it takes to give up. Three in the code, after which nothing new can happen here. */
#ifndef MOST_REFUSALS
#define MOST_REFUSALS 2
#endif

/*
 * What the provider does with a refresh token that was used: STRICT refuses it from then on, LEEWAY takes it for a while yet and
 * holds all good that it gave for it, NEWEST does so too but holds only the last one good, STATIC gives no other.
 */
mtype = { STRICT, LEEWAY, NEWEST, STATIC };
mtype provider;
/* Refresh tokens that it accepts as such, and those that it accepts once more for a while. */
short live = BIT(0);
short leeway = 0;
byte issued = FIRST_ISSUED;

/* The row. A revision here is that of the credentials. */
byte revision = 1;
byte refreshToken = 0;
byte accessToken = 0;
bool expired = false;
bool due = true;
byte fence = 0;
bool leased = false;
/* Refresh token that was spent for what is stored (a digest of it in the code); NOBODY: somebody else stored it. */
byte refreshedWith = NOBODY;
/* Refresh tokens of late answers. */
short spares = 0;
byte refusals = 0;
bool authorizationRequired = false;

/* Fence under which a token was obtained: of several, the newest is tried first. */
byte fenceOf[TOKENS];

/* What nobody in the program knows, and the properties need. */
byte commitsFrom[TOKENS];      /* by revision */
byte commitsOf[TOKENS];        /* by the refresh token that was spent */
short told = 0;                /* refresh tokens that came to a vault */
bool lostOnTheWay = false;     /* the provider rotated, and nobody got to know the new token */
short ofGrant = BIT(0);        /* tokens of the grant that is stored */
short fromFirst = 0;           /* tokens that were given for token 0 */
short ofOther = BIT(OTHER);
byte finished = 0;

#define usable (live | leeway)
#define stored (BIT(refreshToken) | spares)

/* A good token that some vault was told of and that belongs to the stored grant is not thrown away. */
#define nothingThrownAway ((live & told & ofGrant) == 0 || (usable & stored) != 0)

inline claimRefresh() {
  atomic {
    if
    :: due && !leased && !authorizationRequired ->
       fence++;
       leased = true;
       myFence = fence;
       from = revision;
       candidates = stored;
       sparesSeen = spares
    :: else -> myFence = NOBODY
    fi
  }
}

/* Given back by who has not sent anything: it came too late for it, or the provider is not to be asked now. */
inline releaseRefresh() {
  atomic {
    if
    :: fence == myFence -> leased = false
    :: else -> skip
    fi
  }
}

/* The next of the refresh tokens that were there when the lease was claimed: the one with the highest fence. */
inline nextCandidate() {
  used = NOBODY;
  i = 0;
  do
  :: i < TOKENS ->
     if
     :: (candidates & BIT(i)) && (used == NOBODY || fenceOf[i] > fenceOf[used]) -> used = i
     :: else -> skip
     fi;
     i++
  :: else -> break
  od;
  if
  :: used != NOBODY -> candidates = candidates & ~BIT(used)
  :: else -> skip
  fi
}

/* What the provider makes of a request, whenever it gets to it. */
inline provide() {
  d_step {
    if
    :: !(usable & BIT(used)) -> refused = true; got = NOBODY
    :: else ->
       refused = false;
       got = issued;
       issued++;
       if
       :: provider == STRICT -> live = (live & ~BIT(used)) | BIT(got); leeway = leeway & ~BIT(used)
       :: provider == LEEWAY -> live = (live & ~BIT(used)) | BIT(got); leeway = leeway | BIT(used)
       :: provider == NEWEST ->
          /* Of the other grant nothing ends. */
          if
          :: ofOther & BIT(used) -> live = (live & ~ofOther) | BIT(got); ofOther = ofOther | BIT(got)
          :: else -> live = (live & ofOther) | BIT(got)
          fi;
          leeway = BIT(used)
       :: else -> skip
       fi;
       fenceOf[got] = myFence;
       if
       :: used == 0 -> fromFirst = fromFirst | BIT(got)
       :: else -> skip
       fi;
       if
       :: ofGrant & BIT(used) -> ofGrant = ofGrant | BIT(got)
       :: else -> skip
       fi
    fi
  }
}

/* The refresh token that there is after an answer. */
#define rotated (provider != STATIC)

inline write() {
  /* Two refreshes of what was stored once, or of one token: what a customer would be locked out by. */
  commitsFrom[revision]++;
  assert(commitsFrom[revision] == 1);
  if
  :: rotated -> commitsOf[used]++; assert(commitsOf[used] == 1)
  :: else -> skip
  fi;
  /* An older token in the place of a newer one, or one of a grant that was replaced. */
  assert(got > accessToken || accessToken == OTHER);
  assert(ofGrant & BIT(used));
  refreshedWith = used;
  revision++;
  accessToken = got;
  expired = false;
  due = false;
  if
  :: rotated -> refreshToken = got
  :: else -> refreshToken = used
  fi;
  spares = 0;
  refusals = 0;
  authorizationRequired = false
}

inline commitRefresh() {
  atomic {
    if
    :: rotated -> told = told | BIT(got)
    :: else -> skip
    fi;
    if
#ifdef MUTANT_NO_FENCE
    :: true -> write()
#else
    /* Stored is what the refresh began from. */
    :: revision == from -> write()
    /* Somebody put the very token back that this refresh has spent. */
    :: revision != from && refreshedWith == NOBODY && refreshToken == used && rotated -> write()
    /* Another refresh spent the same token and came first: what it stored stays, and this refresh token is kept. */
    :: revision != from && refreshedWith == used && rotated ->
#ifndef MUTANT_NO_SPARE
       spares = spares | BIT(got);
       due = true;
       refusals = 0;
       authorizationRequired = false
#else
       skip
#endif
    :: else -> skip
#endif
    fi;
    if
    :: fence == myFence -> leased = false
    :: else -> skip
    fi;
    assert(nothingThrownAway)
  }
}

/* The provider refused all candidates. */
inline failRefresh() {
  atomic {
    if
#ifdef MUTANT_UNFENCED_FAILURE
    :: true ->
#else
    :: fence == myFence && revision == from && spares == sparesSeen ->
#endif
       refusals++;
       if
       :: refusals >= MOST_REFUSALS ->
          authorizationRequired = true;
          /* A person is asked only when nothing that is stored could help. */
          assert((usable & stored) == 0)
       :: else -> skip
       fi
    :: else -> skip
    fi;
    if
    :: fence == myFence -> leased = false
    :: else -> skip
    fi
  }
}

/*
 * One refresh. Killed anywhere means that all its variables are lost; a request that was sent is then still on its way, and
 * the provider may or may not come to it, now or much later.
 */
proctype Replica() {
  byte myFence, from, used, got, i, round;
  short candidates, sparesSeen;
  bool refused;
  do
  :: round == ROUNDS -> break
  :: else ->
     round++;
     claimRefresh();
     if
     :: myFence == NOBODY -> skip
     :: else ->
        if
        :: goto killed
        :: releaseRefresh()
        :: true ->
           do
           :: atomic { nextCandidate() };
              if
              :: used == NOBODY ->
                 if
                 :: failRefresh()
                 :: goto killed
                 fi;
                 break
              :: else -> skip
              fi;
requestTokens:
              if
              :: goto killed                              /* nothing was sent, or it never arrived */
              :: provide();
                 if
                 :: refused -> skip                       /* the next candidate */
                 :: !refused ->
                    if
                    :: atomic { lostOnTheWay = lostOnTheWay || rotated; goto killed }
                    /* The call ended without its answer; that is a failure which counts for nothing. */
                    :: atomic { lostOnTheWay = lostOnTheWay || rotated; used = NOBODY };
                       releaseRefresh();
                       break
                    :: commitRefresh(); break
                    fi
                 fi
              fi
           od
        fi
     fi;
     goto next;
killed:
     atomic { myFence = 0; from = 0; used = 0; got = 0; i = 0; candidates = 0; sparesSeen = 0; refused = false };
next:
     skip
  od;
  atomic { finished++; myFence = 0; from = 0; used = 0; got = 0; i = 0; candidates = 0; sparesSeen = 0; refused = false }
}

/* Leases end and tokens expire, at any moment; the leeway of a provider ends as well. For the last replica only leases do. */
proctype Clock() {
end:
  do
#ifndef MUTANT_ENDLESS_LEASE
  :: atomic { leased -> leased = false }
#endif
  :: atomic { finished <= N && !due && !authorizationRequired -> due = true }
  :: atomic { finished <= N && !expired && due -> expired = true }
  :: atomic { leeway != 0 && finished <= N -> leeway = 0 }
  od
}

/* Once: a person authorizes again or an application stores other tokens, or it puts back the ones that it had read before. */
proctype Writer() {
  if
  :: skip
  :: atomic {
       revision++;
       refreshToken = OTHER;
       accessToken = OTHER;
       live = live | BIT(OTHER);
       ofGrant = BIT(OTHER);
       refreshedWith = NOBODY;
       spares = 0;
       refusals = 0;
       authorizationRequired = false;
       expired = false
     }
  :: atomic {
       revision++;
       /* A newer one that was stored is thrown away by whoever does this; one that is on its way from this token is not. */
       ofGrant = BIT(0) | (fromFirst & ~told);
       told = 0;
       refreshToken = 0;
       accessToken = 0;
       commitsOf[0] = 0;
       refreshedWith = NOBODY;
       spares = 0;
       refusals = 0;
       authorizationRequired = false;
       lostOnTheWay = lostOnTheWay || rotated;
       expired = false
     }
  fi;
  finished++
}

/* Somebody who reads over the API, and waits for a refresh when what is stored has expired. */
proctype Reader() {
  byte seen;
  bool good;
readToken:
  atomic { seen = accessToken; good = !expired };
  if
  :: good -> skip
  :: else ->
     /* For the winner, or for as long as a reader waits. */
     if
     :: !expired -> skip
     :: skip
     fi;
#ifndef MUTANT_STALE_READER
     atomic { seen = accessToken; good = !expired; assert(good || expired) }
#else
     /* What it saw first, as if waiting had made it good. */
     assert(good || expired)
#endif
  fi;
  atomic { seen = 0; good = false }
}

/*
 * After all of that a replica comes that is not killed, and the provider answers: it ends with a fresh token, unless the
 * only good one was lost between the provider and the replicas.
 */
proctype Last() {
  byte myFence, from, used, got, i;
  short candidates, sparesSeen;
  bool refused;
  finished == N + 1;
  do
  :: authorizationRequired || (!due && !expired) -> break
  :: !authorizationRequired && due && !leased ->
     claimRefresh();
     if
     :: myFence == NOBODY -> skip
     :: else ->
        do
        :: atomic { nextCandidate() };
           if
           :: used == NOBODY -> failRefresh(); break
           :: else -> skip
           fi;
           provide();
           if
           :: refused -> skip
           :: else -> commitRefresh(); break
           fi
        od
     fi
  od;
  assert(lostOnTheWay || (!authorizationRequired && (usable & BIT(refreshToken))))
}

init {
  byte n;
  atomic {
    if
    :: provider = STRICT
    :: provider = LEEWAY
    :: provider = NEWEST
    :: provider = STATIC
    fi;
    do
    :: n < N -> run Replica(); n++
    :: else -> break
    od;
    run Clock();
#ifdef WRITER
    run Writer();
#else
    finished++;
#endif
#ifdef READER
    run Reader();
#endif
    run Last()
  }
}
