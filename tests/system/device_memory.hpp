/* SPDX-License-Identifier: GPL-2.0-only */
/* Helpers of tests whose memory goes to the device's and comes home. */
#ifndef SVM_TESTS_SYSTEM_DEVICE_MEMORY_HPP
#define SVM_TESTS_SYSTEM_DEVICE_MEMORY_HPP

#include "harness.hpp"

namespace harness {

constexpr std::size_t many = 520; // pages: more than one table

inline bool can_migrate(const svmirror::device &device) { return device.info().capabilities & DRM_SVM_CAPABILITY_MIGRATE; }

// The test skips where pages cannot move to the device's memory.
#define NEEDS_DEVICE_MEMORY(gpu)                                                                                          \
	do {                                                                                                              \
		if (!harness::can_migrate((gpu).device))                                                                  \
			GTEST_SKIP() << "this kernel, or the device's page tables, have no pages in the device's memory"; \
	} while (0)

// Each page begins with a number of its own.
inline void number(const mapping &memory)
{
	for (std::size_t i = 0; i < memory.pages(); i++)
		memory.at(i) = std::byte(1 + i);
}

inline ::testing::AssertionResult numbered(const mapping &memory)
{
	for (std::size_t i = 0; i < memory.pages(); i++)
		if (memory.at(i) != std::byte(1 + i))
			return ::testing::AssertionFailure() << "page " << i << " begins with " << unsigned(memory.at(i));
	return ::testing::AssertionSuccess();
}

// Both say how many pages moved.
inline std::uint64_t send_home(svmirror::vm &vm, std::span<std::byte> memory) { return vm.migrate(memory, svmirror::place::system); }
inline std::uint64_t send_there(svmirror::vm &vm, std::span<std::byte> memory) { return vm.migrate(memory, svmirror::place::vram); }

} // namespace harness

#endif
