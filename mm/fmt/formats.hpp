// SPDX-License-Identifier: GPL-2.0-only
// The formats that are compiled in. The build hands this file to the core, which knows none of them by name.
#pragma once

#include "mm/fmt/vendors.hpp"

namespace svm {

using formats = vendor_formats;

} // namespace svm
