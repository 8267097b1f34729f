/* error.c - names and texts of the one error space, made from its table. */
#include "stead/error.h"

const char *stead_error_name(int code)
{
    switch (code) {
    case STEAD_OK:
        return "OK";
    case STEAD_PENDING:
        return "PENDING";
#define X(name, code_, text)                                                                       \
    case STEAD_E_##name:                                                                           \
        return #name;
        STEAD_ERRORS(X)
#undef X
    default:
        return "UNKNOWN_CODE";
    }
}

const char *stead_error_text(int code)
{
    switch (code) {
    case STEAD_OK:
        return "success";
    case STEAD_PENDING:
        return "the result follows";
#define X(name, code_, text)                                                                       \
    case STEAD_E_##name:                                                                           \
        return text;
        STEAD_ERRORS(X)
#undef X
    default:
        return "UNKNOWN_CODE";
    }
}
