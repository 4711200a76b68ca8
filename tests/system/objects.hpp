// SPDX-License-Identifier: GPL-2.0-only
/* Buffer objects in tests: where both sides see them, and what they hold. */
#ifndef SVM_TESTS_SYSTEM_OBJECTS_HPP
#define SVM_TESTS_SYSTEM_OBJECTS_HPP

#include <array>
#include <cstring>
#include <string>
#include <system_error>
#include <utility>

#include <fcntl.h>
#include <unistd.h>
#include <xf86drm.h>

#include "harness.hpp"

namespace harness {

using svmirror::place;

inline constexpr std::array places{place::system, place::vram};

// Leaves of mlx5_odp know no memory but the system's, so the driver keeps buffers there.
inline bool leaves_reach_vram(const svmirror::device &device) { return std::strcmp(device.info().format, "mlx5_odp") != 0; }

// Where a buffer lies that wants to be at @wanted, when there is room.
inline place place_of(const svmirror::device &device, place wanted) { return leaves_reach_vram(device) ? wanted : place::system; }

// A buffer that the CPU and the device see at the same addresses, which begin with a table's.
struct shared_object {
	shared_object(gpu &gpu, std::size_t size, place where, std::uint32_t flags = 0)
		: buffer(gpu.device, size, where),
		  memory(size, PROT_READ | PROT_WRITE, MAP_SHARED, gpu.device.fd(), static_cast<off_t>(buffer.info().mmap_offset)),
		  vm(gpu.vm)
	{
		vm.bind(svmirror::address(memory.data()), buffer, flags);
	}
	shared_object(const shared_object &) = delete;
	shared_object &operator=(const shared_object &) = delete;
	// The addresses are the process's again, for what it maps there next.
	~shared_object() { svmirror_bind(vm.fd(), vm.id(), svmirror::address(memory.data()), memory.size(), 0); }
	std::span<std::byte> bytes() const { return memory.bytes(); }
	std::byte &at(std::size_t index) const { return memory.at(index); }

	svmirror::buffer buffer;
	mapping memory;
	svmirror::vm &vm;
};

// The CPU reads this value at the beginning and at the end of each page.
inline ::testing::AssertionResult holds(std::span<const std::byte> memory, std::byte value)
{
	for (std::size_t i = 0; i < memory.size(); i += page)
		for (std::size_t at : {i, i + page - 1})
			if (memory[at] != value)
				return ::testing::AssertionFailure() << "byte " << at << " is " << std::to_integer<int>(memory[at]) << ", not "
								     << std::to_integer<int>(value);
	return ::testing::AssertionSuccess();
}

// The device reads this value in each byte, or so its sum says.
inline ::testing::AssertionResult device_holds(svmirror::queue &queue, std::span<const std::byte> memory, std::byte value)
{
	std::size_t words = memory.size() / sizeof(std::uint64_t);
	std::uint64_t sum = ~0ull, want = words * 0x0101010101010101 * std::to_integer<std::uint64_t>(value);
	svmirror::job_result result = finish(queue.sum({reinterpret_cast<const std::uint64_t *>(memory.data()), words}, sum));
	if (result.status)
		return ::testing::AssertionFailure() << "the device gets " << result.status << " at " << result.va;
	if (sum != want)
		return ::testing::AssertionFailure() << "the device reads the sum " << sum << ", not " << want;
	return ::testing::AssertionSuccess();
}

// A card's node of another driver, which may not be there.
class card {
public:
	explicit card(const std::string &driver)
	{
		for (unsigned number = 0; number < 8 && fd_ < 0; number++) {
			fd_ = open(("/dev/dri/card" + std::to_string(number)).c_str(), O_RDWR | O_CLOEXEC);
			drmVersion *version = fd_ < 0 ? nullptr : drmGetVersion(fd_);
			if (version && version->name != driver)
				close(std::exchange(fd_, -1));
			drmFreeVersion(version);
		}
	}
	card(const card &) = delete;
	card &operator=(const card &) = delete;
	~card()
	{
		if (fd_ >= 0)
			close(fd_);
	}
	bool there() const { return fd_ >= 0; }
	int fd() const { return fd_; }

private:
	int fd_ = -1;
};

} // namespace harness

#endif
