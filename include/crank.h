/* SPDX-License-Identifier: MIT */
#ifndef CRANK_H
#define CRANK_H
/* crank: asyncio for C. One include for programs; each part is documented in its own header. */
#include "crank/base.h"
#include "crank/call.h"
#include "crank/error.h"
#include "crank/task.h"
#include "crank/run.h"
#include "crank/scope.h"
#include "crank/generator.h"
#include "crank/sync.h"
#include "crank/thread.h"
#include "crank/stream.h"
#include "crank/net.h"
#include "crank/process.h"
#include "crank/signal.h"
#endif
