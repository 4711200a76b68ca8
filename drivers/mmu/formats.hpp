// SPDX-License-Identifier: GPL-2.0-only
// The formats that are compiled in. The build hands this file to the core, which knows none of them by name.
#pragma once

#include "drivers/mmu/xe2.hpp"
#include "mm/pt/page_table.hpp"

namespace svm {

using formats = format_list<xe2>;

} // namespace svm
