// SPDX-License-Identifier: GPL-2.0-only
/* Windows: a part of the address space, at an offset, with intervals of all sizes. */
#include <cerrno>

#include "harness.hpp"

using namespace harness;

SVM_TEST(Row26Windows, PartOfTheAddressSpace)
{
	svmirror::device device;
	mapping inside(2 * mib), outside(2 * mib);
	svmirror::vm vm(device);
	vm.bind(inside.bytes());
	svmirror::queue queue(vm);
	EXPECT_EQ(device_fill(queue, inside.bytes(), std::byte{1}), 0);
	EXPECT_EQ(device_fill(queue, outside.bytes(), std::byte{1}), EFAULT);
	EXPECT_EQ(inside.at(511), std::byte{1});
	EXPECT_EQ(outside.at(0), std::byte{0});
}

SVM_TEST(Row26Windows, AtAnOffset)
{
	svmirror::device device;
	mapping memory(4 * mib);
	svmirror::vm vm(device);
	std::uint64_t cpu = svmirror::address(memory.data()), low = 16 * mib, high = 1ull << 46;
	vm.bind(low, memory.size(), static_cast<std::int64_t>(low - cpu));
	vm.bind(high, memory.size(), static_cast<std::int64_t>(high - cpu));
	svmirror::queue queue(vm);
	// the same memory at two device addresses, neither of them the CPU's
	EXPECT_EQ(finish(queue.submit(SVMIRROR_FILL, {low, 2 * mib, 0x21})).status, 0);
	EXPECT_EQ(finish(queue.submit(SVMIRROR_FILL, {high + 2 * mib, 2 * mib, 0x43})).status, 0);
	EXPECT_EQ(memory.at(511), std::byte{0x21});
	EXPECT_EQ(memory.at(512), std::byte{0x43});
	EXPECT_EQ(finish(queue.submit(SVMIRROR_COPY, {low + 2 * mib, high, 2 * mib})).status, 0);
	EXPECT_EQ(memory.at(1023), std::byte{0x21});
	// what the CPU takes away is gone at both
	ASSERT_EQ(munmap(&memory.at(100), page), 0);
	for (std::uint64_t base : {low, high}) {
		svmirror::job_result result = finish(queue.submit(SVMIRROR_TOUCH, {base, 2 * mib, page, 0}));
		EXPECT_EQ(result.status, -EFAULT);
		EXPECT_EQ(result.va, base + 100 * page) << "the log speaks of device addresses";
	}
}

SVM_TEST(Row26Windows, CapabilitiesNameTheKindsOfBindings)
{
	svmirror::device device;
	EXPECT_EQ(device.info().capabilities, DRM_SVM_CAPABILITY_MIRROR) << "mirror windows, and no other kind";
}

SVM_TEST(Row26Windows, IntervalsOfEverySize)
{
	svmirror::device device;
	std::uint32_t table = device.info().table_lg2, bits = device.info().va_bits;
	for (std::uint32_t interval : {table, 29u, bits}) {
		mapping memory(4 * mib);
		memory.no_huge_pages();
		svmirror::vm vm(device, {.interval_lg2 = interval, .granule_lg2 = 0});
		vm.bind_all();
		svmirror::queue queue(vm);
		ASSERT_EQ(device_fill(queue, memory.bytes(), std::byte{5}), 0) << "interval " << interval;
		ASSERT_EQ(madvise(&memory.at(500), 30 * page, MADV_DONTNEED), 0);
		EXPECT_DEVICE_READS(queue, &memory.at(499), 5);
		EXPECT_DEVICE_READS(queue, &memory.at(500), 0);
		EXPECT_DEVICE_READS(queue, &memory.at(529), 0);
		EXPECT_DEVICE_READS(queue, &memory.at(530), 5);
	}
}

SVM_TEST(Row26Windows, BesideEachOtherUnboundAndBoundAgainInUse)
{
	svmirror::device device;
	mapping memory(6 * mib);
	memory.no_huge_pages();
	svmirror::vm vm(device);
	std::span<std::byte> left = memory.bytes(0, 512), middle = memory.bytes(512, 512), right = memory.bytes(1024, 512);
	for (std::span<std::byte> each : {left, middle, right})
		vm.bind(each);
	svmirror::queue queue(vm);
	adder beside(vm, left.first(8 * page)), beyond(vm, right.first(8 * page));
	for (unsigned round = 1; round <= 4; round++) {
		hammer busy(vm, middle, true);
		ASSERT_EQ(device_fill(queue, middle, std::byte(round)), 0);
		vm.unbind(svmirror::address(middle.data()), middle.size());
		// gone for the device, as it was for the CPU
		EXPECT_EQ(device_fill(queue, middle.first(page), std::byte{0x99}), EFAULT);
		EXPECT_EQ(memory.at(512), std::byte(round));
		EXPECT_EQ(memory.at(1023), std::byte(round));
		busy.wait_for(2);
		hammer::report report = busy.stop();
		EXPECT_EQ(report.ok + report.fault, report.jobs) << "first other status " << report.first_other;
		EXPECT_GE(report.fault, 1u);
		vm.bind(middle);
		EXPECT_EQ(finish(queue.touch(middle, page, true)).status, 0);
	}
	beside.wait_for(8);
	beyond.wait_for(8);
	EXPECT_TRUE(beside.exact());
	EXPECT_TRUE(beyond.exact());
}

SVM_TEST(Row26Windows, OverAndUnderOthersIsRefusedAndHurtsNobody)
{
	svmirror::device device;
	mapping memory(6 * mib);
	svmirror::vm vm(device);
	std::uint64_t start = svmirror::address(memory.data());
	vm.bind(memory.bytes(512, 512));
	adder busy(vm, memory.bytes(512, 8));
	busy.wait_for(8);
	for (auto [from, pages] : {std::pair{0u, 1536u}, {512u, 512u}, {600u, 10u}, {0u, 513u}, {1023u, 513u}})
		EXPECT_EQ(svmirror_bind(device.fd(), vm.id(), start + from * page, pages * page, 0), -EEXIST)
			<< pages << " pages from " << from;
	EXPECT_EQ(svmirror_bind_all(device.fd(), vm.id()), -EEXIST);
	// what would take away more or less than was bound takes nothing
	for (auto [from, pages] : {std::pair{0u, 1536u}, {512u, 511u}, {513u, 511u}})
		EXPECT_EQ(svmirror_unbind(device.fd(), vm.id(), start + from * page, pages * page), -ENOENT);
	busy.wait_for(8);
	EXPECT_TRUE(busy.exact());
}

SVM_TEST(Row26Windows, OneOfTwoViewsGoesAndComesBack)
{
	svmirror::device device;
	mapping memory(2 * mib);
	memory.no_huge_pages();
	svmirror::vm vm(device);
	vm.bind(memory.bytes());
	svmirror::queue queue(vm);
	std::uint64_t alias = 1ull << 46;
	auto offset = static_cast<std::int64_t>(alias - svmirror::address(memory.data()));
	adder busy(vm, memory.bytes(0, 8));
	for (unsigned round = 1; round <= 4; round++) {
		vm.bind(alias, memory.size(), offset);
		ASSERT_EQ(finish(queue.submit(SVMIRROR_FILL, {alias + 100 * page, page, round})).status, 0);
		EXPECT_EQ(memory.at(100), std::byte(round));
		// the memory goes away under both, and comes back as something else
		ASSERT_EQ(madvise(&memory.at(100), page, MADV_DONTNEED), 0);
		ASSERT_EQ(finish(queue.submit(SVMIRROR_TOUCH, {alias + 100 * page, page, page, 1})).status, 0);
		EXPECT_EQ(memory.at(100), std::byte{0}) << "one view of the page was not taken away";
		ASSERT_EQ(finish(queue.submit(SVMIRROR_COPY, {svmirror::address(&memory.at(101)), alias + 100 * page, 1})).status, 0);
		EXPECT_EQ(memory.at(101), std::byte{0}) << "one view of the page was not taken away";
		vm.unbind(alias, memory.size());
		svmirror::job_result result = finish(queue.submit(SVMIRROR_TOUCH, {alias, page, page, 0}));
		EXPECT_EQ(result.status, -EFAULT);
		EXPECT_EQ(result.va, alias);
		EXPECT_EQ(finish(queue.touch(memory.bytes(100, 1), page, true)).status, 0);
	}
	busy.wait_for(8);
	EXPECT_TRUE(busy.exact());
}
