// SPDX-License-Identifier: GPL-2.0-only
/* mprotect, and pages amid others that may not be touched. */
#include <cerrno>

#include "harness.hpp"

using namespace harness;

SVM_TEST(Row04Mprotect, ReadOnlyNoneAndBack)
{
	gpu gpu;
	mapping memory(2 * mib);
	ASSERT_EQ(device_fill(gpu.queue, memory.bytes(), std::byte{0x11}), 0);

	ASSERT_EQ(mprotect(memory.data(), memory.size(), PROT_READ), 0);
	svmirror::job_result result = finish(gpu.queue.fill(memory.bytes(3, 1), std::byte{0x22}));
	EXPECT_EQ(result.status, -EPERM);
	EXPECT_EQ(result.va, svmirror::address(&memory.at(3)));
	EXPECT_EQ(result.access, std::uint32_t{DRM_SVM_ACCESS_WRITE});
	EXPECT_DEVICE_READS(gpu.queue, &memory.at(3), 0x11);
	EXPECT_EQ(memory.at(3), std::byte{0x11}) << "a write that was refused has landed";

	ASSERT_EQ(mprotect(memory.data(), memory.size(), PROT_NONE), 0);
	EXPECT_EQ(device_read(gpu.queue, &memory.at(3)).error, EFAULT);
	EXPECT_EQ(device_write(gpu.queue, &memory.at(3), std::byte{0x22}), EFAULT);

	ASSERT_EQ(mprotect(memory.data(), memory.size(), PROT_READ | PROT_WRITE), 0);
	EXPECT_DEVICE_READS(gpu.queue, &memory.at(3), 0x11);
	ASSERT_EQ(device_fill(gpu.queue, memory.bytes(), std::byte{0x22}), 0);
	EXPECT_EQ(memory.at(511), std::byte{0x22});
}

SVM_TEST(Row04Mprotect, AtomicOnReadOnlyIsDenied)
{
	gpu gpu;
	mapping memory(page);
	auto &word = *reinterpret_cast<std::uint64_t *>(memory.data());
	ASSERT_EQ(finish(gpu.queue.cas_add(word, 10)).status, 0);
	EXPECT_EQ(word, 10u);
	ASSERT_EQ(mprotect(memory.data(), page, PROT_READ), 0);
	EXPECT_EQ(finish(gpu.queue.cas_add(word, 10)).status, -EPERM);
	EXPECT_EQ(word, 10u);
}

SVM_TEST(Row04Mprotect, GuardPageHurtsNoNeighbour)
{
	// granules of all sizes around the guard page: it is left out, never an error
	for (std::uint32_t granule : {12u, 16u, 21u}) {
		gpu gpu({.interval_lg2 = 0, .granule_lg2 = granule, .flags = 0});
		mapping memory(2 * mib);
		memory.no_huge_pages();
		ASSERT_EQ(mprotect(&memory.at(200), page, PROT_NONE), 0);
		ASSERT_EQ(munmap(&memory.at(210), page), 0);
		EXPECT_EQ(device_fill(gpu.queue, memory.bytes(170, 30), std::byte{1}), 0) << "granule " << granule;
		EXPECT_EQ(device_fill(gpu.queue, memory.bytes(201, 9), std::byte{2}), 0) << "granule " << granule;
		EXPECT_EQ(device_fill(gpu.queue, memory.bytes(211, 40), std::byte{3}), 0) << "granule " << granule;
		EXPECT_EQ(memory.at(199), std::byte{1});
		EXPECT_EQ(memory.at(201), std::byte{2});
		EXPECT_EQ(memory.at(211), std::byte{3});
		EXPECT_EQ(gpu.vm.counters().failed, 0u) << "granule " << granule;
		EXPECT_EQ(device_read(gpu.queue, &memory.at(200)).error, EFAULT);
		EXPECT_EQ(device_read(gpu.queue, &memory.at(210)).error, EFAULT);
	}
}

SVM_TEST(Row04Mprotect, GuardPageSetUnderTheDevice)
{
	gpu gpu;
	mapping memory(2 * mib);
	memory.no_huge_pages();
	hammer before(gpu.vm, memory.bytes(0, 100), true), after(gpu.vm, memory.bytes(101, 411), true);
	before.wait_for(1);
	after.wait_for(1);
	for (unsigned round = 0; round < 6; round++) {
		ASSERT_EQ(mprotect(&memory.at(100), page, PROT_NONE), 0);
		EXPECT_EQ(device_read(gpu.queue, &memory.at(100)).error, EFAULT);
		ASSERT_EQ(mprotect(&memory.at(100), page, PROT_READ | PROT_WRITE), 0);
		EXPECT_EQ(device_read(gpu.queue, &memory.at(100)).error, 0);
	}
	hammer::report left = before.stop(), right = after.stop();
	EXPECT_EQ(left.ok, left.jobs) << "first other status " << left.first_other;
	EXPECT_EQ(right.ok, right.jobs) << "first other status " << right.first_other;
}
