// SPDX-License-Identifier: GPL-2.0
/*
 * Copyright (C) 2026 the svmdk authors
 */
#define CREATE_TRACE_POINTS
#include "trace.h"
