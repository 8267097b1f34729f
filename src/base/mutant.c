/* mutant.c - the switch for planted bugs, in the simulator's twins of the core only. */
#include "base/mutant.h"

#ifdef STEAD_MUTANTS
enum mutant mutant_planted;
#endif
