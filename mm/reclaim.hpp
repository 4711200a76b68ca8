// SPDX-License-Identifier: GPL-2.0-only
// How tables leave: all of a window's at once (sweep), or idle ones by the shrinker.
#pragma once

#include "mm/base/span.hpp"

struct svm_vm;

namespace svm {

// Unmaps the span (whole tables) and takes its tables out. No fault maps into it any more. Sleeps.
void sweep(svm_vm &vm, va_span tables);

} // namespace svm
