/* mutant.h - named bugs that a test can plant, to show that the simulator's checkers bite.
 *
 * `if (MUTANT(NO_FENCING))` is a constant 0 in the product; the simulator links twins of the core
 * that are built with STEAD_MUTANTS, where one mutant at a time can be switched on. */
#ifndef BASE_MUTANT_H
#define BASE_MUTANT_H

#define MUTANTS(X)                                                                                 \
    X(ACK_BEFORE_COPY)        /* an owner answers before its holders have it */                    \
    X(NO_FENCING)             /* a holder accepts any term and any generation */                   \
    X(NO_TOMBSTONE)           /* a final deletion forgets at once */                               \
    X(NO_REPLAY_WINDOW)       /* a frame is accepted twice */                                      \
    X(MERGE_WITHOUT_TIEBREAK) /* equal (term, version): the last one merged wins */                \
    X(LOST_PART)              /* a large message counts as whole when its last part is there */    \
    X(EXPIRY_BY_HOLDER)       /* a holder, not the owner, decides that a record is over */         \
    X(CLAIM_WITHOUT_ASKING)   /* a claimant takes what it has and asks nobody */                   \
    X(HEARSAY_COUNTS)         /* who names an owner that did not answer has nothing itself */      \
    X(READ_WITHOUT_LEASE)     /* a holder serves its copy though it no longer hears the owner */   \
    X(NO_RECOPY)              /* copies lost with a holder are not made anew */                    \
    X(FIELD_DELETE_FORGETS)   /* a removed field leaves no tombstone */                            \
    X(TERM_NOT_RAISED)        /* a claim keeps the old term */                                     \
    X(REFUSAL_AS_ACK)         /* a refusal is taken for an acknowledgement */                      \
    X(NONCE_REUSED)           /* the frame counter starts anew within an incarnation */            \
    X(DEDUP_OFF)              /* a retransmitted message is delivered twice */                     \
    X(READY_TOO_EARLY)        /* a starting node is up before the farm has its copies again */     \
    X(TWINS_COUNT_TWICE)      /* two processes of one node are two places for copies */            \
    X(QUORUM_OF_ONE)        /* what a majority of the voters is to grant, any node grants alone */ \
    X(VOTES_TOO_EARLY)      /* a voter that lost its memory says at once that it has nothing */    \
    X(GAP_NOT_NOTICED)      /* a receiver of the group does not ask for what it missed */          \
    X(REPAIR_NEVER)         /* nor does a sender listen who is asked */                            \
    X(SUM_STAYS)            /* what goes from a table stays in the sums that nodes compare */      \
    X(SWIM_NO_REFUTATION)   /* a node that hears that it is suspect says nothing */                \
    X(SWIM_NO_LOCAL_HEALTH) /* a starved node trusts its own clock as ever */                      \
    X(SWIM_NO_SUSPICION)    /* a probe that failed once is a verdict */

enum mutant {
    MUTANT_NONE,
#define X(name) MUTANT_##name,
    MUTANTS(X)
#undef X
};

#ifdef STEAD_MUTANTS
extern enum mutant mutant_planted;
#define MUTANT(name) (mutant_planted == MUTANT_##name)
#else
#define MUTANT(name) 0
#endif

#endif
