// SPDX-License-Identifier: GPL-2.0-only
#include "model/formats.hpp"

#include "mmu/mmu.h"

#include <fmt/format.h>

#include <iterator>
#include <stdexcept>

namespace svgpu {
namespace {

constexpr const char *names[] = SVGPU_FORMAT_NAMES;

static_assert(std::size(names) == SVGPU_FORMATS);

} // namespace

const char *format_name(unsigned number)
{
	return names[number];
}

const mmu &format_of(unsigned number)
{
	const mmu *found = number < SVGPU_FORMATS ? mmu_find(names[number]) : nullptr;

	if (!found)
		throw std::logic_error("a format without a walker");
	return *found;
}

unsigned parse_format(const std::string &name)
{
	std::string known;

	for (unsigned number = 0; number < SVGPU_FORMATS; ++number) {
		if (name == names[number])
			return number;
		known += std::string(known.empty() ? "" : ", ") + names[number];
	}
	throw std::invalid_argument(fmt::format("unknown format '{}'; there are: {}", name, known));
}

} // namespace svgpu
