/* serve: a server's life: it listens, works until SIGTERM or SIGINT, finishes what it has begun, and ends. */
#ifndef RAPT_SERVE_SERVE_H
#define RAPT_SERVE_SERVE_H

#include "serve/http.h"

/* Runs the engine on this thread. Prints the address on stdout once requests are taken. ST_OK after a drain. */
status serve_run(struct serve_engine *engine, const struct serve_options *o);

#endif
