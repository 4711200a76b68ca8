// SPDX-License-Identifier: GPL-2.0-only
// Every vendor's format, by name.
#pragma once

#include "mm/fmt/amd_gfx12.hpp"
#include "mm/fmt/amd_gfx9.hpp"
#include "mm/fmt/mlx5_odp.hpp"
#include "mm/fmt/nv_v2.hpp"
#include "mm/fmt/nv_v3.hpp"
#include "mm/fmt/xe2.hpp"
#include "mm/pt/page_table.hpp"

namespace svm {

using vendor_formats = format_list<xe2, nv_v2, nv_v3, amd_gfx9, amd_gfx12, mlx5_odp>;

} // namespace svm
