// SPDX-License-Identifier: GPL-2.0-only
// The two memories that the device can address, each an aperture of its own. Every access that the device makes, of
// its page-table walker too, goes through at(), which is where an address outside of both is found out.
#pragma once

#include "hw/svgpu_regs.h"

#include <cstddef>
#include <cstdint>
#include <span>

namespace svgpu {

class physical {
public:
	physical(std::span<std::byte> ram, std::span<std::byte> vram)
		: ram_(ram)
		, vram_(vram)
	{
	}

	// nullptr unless all of [address, address + bytes) lies inside the aperture.
	std::byte *at(unsigned aperture, std::uint64_t address, std::size_t bytes) const
	{
		std::span<std::byte> memory = aperture == SVGPU_VRAM ? vram_ : ram_;

		if (aperture > SVGPU_VRAM || bytes > memory.size() || address > memory.size() - bytes)
			return nullptr;
		return memory.data() + address;
	}

private:
	std::span<std::byte> ram_;
	std::span<std::byte> vram_;
};

} // namespace svgpu
