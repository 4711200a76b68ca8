// SPDX-License-Identifier: GPL-2.0-only
// An invariant that broke is reported by port_warn(), and the code goes on as safely as it can.
#pragma once

#include "mm/port.h"

#define SVM_TEXT_(x) #x
#define SVM_TEXT(x) SVM_TEXT_(x)
#define SVM_ASSERT(cond)                                                                     \
	do {                                                                                 \
		if (!(cond)) [[unlikely]]                                                    \
			port_warn(__FILE__ ":" SVM_TEXT(__LINE__) ": " #cond);               \
	} while (0)
