// SPDX-License-Identifier: GPL-2.0-only
/* Windows: a part of the address space, at an offset, with intervals of all sizes. */
#include <cerrno>

#include "harness.hpp"

using namespace harness;

SVM_TEST(Windows, PartOfTheAddressSpace)
{
	libsvm::device device;
	mapping inside(2 * mib), outside(2 * mib);
	libsvm::vm vm(device);
	vm.bind(inside.bytes());
	libsvm::queue queue(vm);
	EXPECT_EQ(device_fill(queue, inside.bytes(), std::byte{1}), 0);
	EXPECT_EQ(device_fill(queue, outside.bytes(), std::byte{1}), EFAULT);
	EXPECT_EQ(inside.at(511), std::byte{1});
	EXPECT_EQ(outside.at(0), std::byte{0});
}

SVM_TEST(Windows, AtAnOffset)
{
	libsvm::device device;
	mapping memory(4 * mib);
	libsvm::vm vm(device);
	std::uint64_t cpu = libsvm::address(memory.data()), low = 16 * mib, high = 1ull << 46;
	vm.bind(low, memory.size(), static_cast<std::int64_t>(low - cpu));
	vm.bind(high, memory.size(), static_cast<std::int64_t>(high - cpu));
	libsvm::queue queue(vm);
	// the same memory at two device addresses, neither of them the CPU's
	EXPECT_EQ(finish(queue.submit(LIBSVM_FILL, {low, 2 * mib, 0x21})).status, 0);
	EXPECT_EQ(finish(queue.submit(LIBSVM_FILL, {high + 2 * mib, 2 * mib, 0x43})).status, 0);
	EXPECT_EQ(memory.at(511), std::byte{0x21});
	EXPECT_EQ(memory.at(512), std::byte{0x43});
	EXPECT_EQ(finish(queue.submit(LIBSVM_COPY, {low + 2 * mib, high, 2 * mib})).status, 0);
	EXPECT_EQ(memory.at(1023), std::byte{0x21});
	// what the CPU takes away is gone at both
	ASSERT_EQ(munmap(&memory.at(100), page), 0);
	for (std::uint64_t base : {low, high}) {
		libsvm::job_result result = finish(queue.submit(LIBSVM_TOUCH, {base, 2 * mib, page, 0}));
		EXPECT_EQ(result.status, -EFAULT);
		EXPECT_EQ(result.va, base + 100 * page) << "the log speaks of device addresses";
	}
}

SVM_TEST(Windows, IntervalsOfEverySize)
{
	libsvm::device device;
	std::uint32_t table = device.info().table_lg2, bits = device.info().va_bits;
	for (std::uint32_t interval : {table, 29u, bits}) {
		mapping memory(4 * mib);
		memory.no_huge_pages();
		libsvm::vm vm(device, {.interval_lg2 = interval, .granule_lg2 = 0});
		vm.bind_all();
		libsvm::queue queue(vm);
		ASSERT_EQ(device_fill(queue, memory.bytes(), std::byte{5}), 0) << "interval " << interval;
		ASSERT_EQ(madvise(&memory.at(500), 30 * page, MADV_DONTNEED), 0);
		EXPECT_DEVICE_READS(queue, &memory.at(499), 5);
		EXPECT_DEVICE_READS(queue, &memory.at(500), 0);
		EXPECT_DEVICE_READS(queue, &memory.at(529), 0);
		EXPECT_DEVICE_READS(queue, &memory.at(530), 5);
	}
}
