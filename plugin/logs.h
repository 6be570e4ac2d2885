/* Our lines in the broker's log, whichever thread says them.
 *
 * The broker's log function is for its own thread: lines of other threads wait in a short queue for the next
 * tick. When that is full, lines are counted instead, and the count is logged.
 *
 * Flow:   core/log -> here -> mosquitto_log_printf.
 * Thread: logs_start, logs_drain and logs_stop are the broker's; lines come from any. */
#ifndef PARLOR_PLUGIN_LOGS_H
#define PARLOR_PLUGIN_LOGS_H

#include "core/log.h"

#define LOGS_WAITING_MAX 1024
#define LOGS_DEBUG_MAX   896 /* so many that wait leave no room for one of level debug */

/* Lines go to the broker's log from now on; the caller's thread is the broker's. */
void logs_start(enum log_level level);
void logs_drain(void);

/* Lines go to stderr again; what waits is written. */
void logs_stop(void);

#endif
