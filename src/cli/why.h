/* why.h - what can be asked of stead why. */
#ifndef CLI_WHY_H
#define CLI_WHY_H

#include "cli/pick.h"

#define WHY_PICK_HELP PICK_HELP

int why_pick(int argc, char **argv);
int why_redirect(int argc, char **argv);

#endif
