/* What every command of parlorctl gets and gives.
 *
 * Flow:   main -> a command -> text or JSON in `out` -> main prints it.
 * Thread: one.
 * Owns:   main owns config and out. */
#ifndef PARLOR_CTL_CTL_H
#define PARLOR_CTL_CTL_H

#include "core/buf.h"
#include "core/config.h"
#include "core/error.h"
#include "ctl/options.h"

#define CTL_DATABASE_TIMEOUT_MS 5000
#define CTL_NAME                "parlorctl" /* to the database */

struct ctl {
    const struct options *options;
    const char *config_path; /* NULL: none was found */
    struct config *config;   /* NULL for a command that loads it itself */
    struct buf out;          /* what goes to stdout: lines, or with --json one object */
};

/* The exit code (sysexits.h) that stands for an error. */
int ctl_exit_code(const struct error *e);

/* True with --json. */
bool ctl_json(const struct ctl *ctl);

/* Each does its command: returns the exit code when it has said all in ctl->out, or -1 with e. */
int run_token(struct ctl *ctl, struct error *e);
int run_token_check(struct ctl *ctl, struct error *e);
int run_migrate(struct ctl *ctl, struct error *e);
int run_status(struct ctl *ctl, struct error *e);
int run_check(struct ctl *ctl, struct error *e);
int run_why(struct ctl *ctl, struct error *e);
int run_reference(struct ctl *ctl, struct error *e);

#endif
