// SPDX-License-Identifier: GPL-2.0-only
// Memory shared with other processes: the BAR, which is ours, and the guest's RAM, a file that QEMU makes.
#pragma once

#include "descriptor.hpp"

#include <cstddef>
#include <filesystem>
#include <span>

namespace svgpu {

class mapping {
public:
	mapping(const descriptor &file, std::size_t bytes);
	mapping(const mapping &) = delete;
	mapping &operator=(const mapping &) = delete;
	~mapping();

	std::span<std::byte> bytes() const { return bytes_; }

private:
	std::span<std::byte> bytes_;
};

// Memory without a name, of this size, zeroed. Errors are std::system_error.
descriptor create_memory(const char *name, std::size_t bytes);

// The file once it is there and at least this long (until then a mapping of it would end in SIGBUS): an empty
// descriptor while it is not.
descriptor open_when_ready(const std::filesystem::path &path, std::size_t bytes);

} // namespace svgpu
