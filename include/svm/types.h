/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The integer types of the C boundary, by the kernel's names. C++ never sees a
 * kernel header (they use C++ keywords as names), so it takes them from the compiler.
 */
#ifndef SVM_TYPES_H
#define SVM_TYPES_H

#ifdef __cplusplus
using u8 = __UINT8_TYPE__;
using u16 = __UINT16_TYPE__;
using u32 = __UINT32_TYPE__;
using u64 = unsigned long long; /* as the kernel's, so that a format string fits */
using s64 = long long;
#else
#include <linux/types.h>
#endif

#endif
