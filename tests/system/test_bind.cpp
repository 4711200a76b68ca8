// SPDX-License-Identifier: GPL-2.0-only
/* Bindings: a part of the address space, at an offset, side by side, replaced; with intervals of all sizes. */
#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <thread>
#include <vector>

#include <sys/ioctl.h>

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

namespace {

// The device's page tables can say that reads give zero and writes vanish.
bool has_null(const svmirror::device &device) { return device.info().capabilities & DRM_SVM_CAPABILITY_NULL; }

} // namespace

SVM_TEST(Row26Windows, CapabilitiesNameTheKindsOfBindings)
{
	svmirror::device device;
	svmirror::device_info info = device.info();
	bool knows = std::strcmp(info.format, "mlx5_odp") != 0; // the only format without null
	EXPECT_EQ(info.capabilities & ~DRM_SVM_CAPABILITY_MIGRATE,
		  DRM_SVM_CAPABILITY_MIRROR | DRM_SVM_CAPABILITY_OBJECT | DRM_SVM_CAPABILITY_NO_FAULT | DRM_SVM_CAPABILITY_ADVISE |
			  (knows ? DRM_SVM_CAPABILITY_NULL : 0))
		<< "and no other kind";
	svmirror::vm vm(device);
	EXPECT_EQ(svmirror_bind_null(device.fd(), vm.id(), 1ull << 40, page), knows ? 0 : -EOPNOTSUPP);
	EXPECT_EQ(vm.bindings().size(), knows ? 1u : 0u);
}

SVM_TEST(Row26Windows, IntervalsOfEverySize)
{
	svmirror::device device;
	std::uint32_t table = device.info().table_lg2, bits = device.info().va_bits;
	for (std::uint32_t interval : {table, 29u, bits}) {
		mapping memory(4 * mib);
		memory.no_huge_pages();
		svmirror::vm vm(device, {.interval_lg2 = interval, .granule_lg2 = 0, .flags = 0});
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

namespace {

drm_svm_bind_op op(const std::byte *start, std::size_t pages, std::uint32_t kind, std::int64_t offset = 0)
{
	drm_svm_bind_op op{};
	op.start = svmirror::address(start);
	op.length = pages * page;
	op.kind = kind;
	op.offset = offset;
	return op;
}

bool operator==(const drm_svm_bind_op &a, const drm_svm_bind_op &b)
{
	return a.start == b.start && a.length == b.length && a.kind == b.kind && a.offset == b.offset && !a.flags && !a.handle && !a.pad;
}

bool same(const std::vector<drm_svm_bind_op> &a, const std::vector<drm_svm_bind_op> &b)
{
	return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](auto &x, auto &y) { return x == y; });
}

} // namespace

// One 2 MiB of device addresses holds memory at two offsets, null and a hole.
SVM_TEST(Row26Windows, KindsSideBySideInOneTable)
{
	svmirror::device device;
	if (!has_null(device))
		GTEST_SKIP() << "the device's page tables have no null";
	mapping here(2 * mib), there(2 * mib);
	here.no_huge_pages();
	svmirror::vm vm(device);
	auto offset = std::int64_t(svmirror::address(&here.at(32)) - svmirror::address(&there.at(7)));
	vm.bind_all(); // also for what the device copies to below
	std::vector<drm_svm_bind_op> ops = {op(&here.at(16), 16, DRM_SVM_BIND_NULL), op(&here.at(32), 32, DRM_SVM_BIND_MIRROR, offset),
					    op(&here.at(64), 448, DRM_SVM_BIND_NOTHING)};
	vm.bind_many(ops);
	EXPECT_EQ(vm.bindings().size(), 4u);
	svmirror::queue queue(vm);
	here.at(1) = here.at(17) = std::byte{1};
	there.at(7) = std::byte{7};
	EXPECT_DEVICE_READS(queue, &here.at(1), 1);
	EXPECT_DEVICE_READS(queue, &here.at(17), 0);
	EXPECT_DEVICE_READS(queue, &here.at(32), 7);
	EXPECT_EQ(device_fill(queue, here.bytes(64, 1), std::byte{9}), EFAULT);
	ASSERT_EQ(device_fill(queue, here.bytes(0, 64), std::byte{9}), 0) << "over all that is bound, null too";
	EXPECT_EQ(here.at(15), std::byte{9});
	EXPECT_EQ(here.at(17), std::byte{1}) << "null let a write through";
	EXPECT_EQ(here.at(32), std::byte{0});
	EXPECT_EQ(there.at(7), std::byte{9});
	EXPECT_EQ(there.at(38), std::byte{9});
	EXPECT_DEVICE_READS(queue, &here.at(17), 0);
	// each piece of memory goes by its own CPU address, and takes nothing else along
	ASSERT_EQ(madvise(&there.at(7), page, MADV_DONTNEED), 0);
	EXPECT_DEVICE_READS(queue, &here.at(32), 0);
	EXPECT_DEVICE_READS(queue, &here.at(33), 9);
	ASSERT_EQ(munmap(&here.at(0), 16 * page), 0);
	EXPECT_EQ(device_fill(queue, here.bytes(0, 1), std::byte{9}), EFAULT);
	EXPECT_DEVICE_READS(queue, &here.at(17), 0);
	EXPECT_DEVICE_READS(queue, &here.at(33), 9);
}

// While jobs use a page, what it leads to is replaced again and again. A job sees the one or the other, and never neither.
SVM_TEST(Row26Windows, ReplacedInUse)
{
	svmirror::device device;
	mapping memory(2 * mib), other(page);
	memory.no_huge_pages();
	svmirror::vm vm(device);
	vm.bind_all();
	svmirror::queue queue(vm);
	std::byte *at = &memory.at(100);
	auto offset = std::int64_t(svmirror::address(at) - svmirror::address(other.data()));
	adder beside(vm, memory.bytes(96, 4)), beyond(vm, memory.bytes(101, 4));
	*at = std::byte{1};
	other.at(0) = std::byte{2};
	std::atomic<bool> stop{false};
	std::thread reader([&] {
		svmirror::queue reads(vm);
		mapping to(page);
		while (!stop) {
			svmirror::job_result result = finish(reads.submit(SVMIRROR_COPY, {svmirror::address(to.data()), svmirror::address(at), 1}));
			EXPECT_EQ(result.status, 0) << "neither the old binding nor the new one";
			EXPECT_LE(std::to_integer<unsigned>(to.at(0)), 2u);
		}
	});
	for (unsigned round = 0; round < 40; round++) {
		drm_svm_bind_op ops[] = {op(at, 1, DRM_SVM_BIND_NULL), op(at, 1, DRM_SVM_BIND_MIRROR, offset), op(at, 1, DRM_SVM_BIND_MIRROR)};
		unsigned seen[] = {0, 2, 1};
		unsigned next = has_null(device) ? round % 3 : 1 + round % 2;
		vm.bind_many({&ops[next], 1});
		EXPECT_DEVICE_READS(queue, at, seen[next]);
	}
	stop = true;
	reader.join();
	beside.wait_for(8);
	beyond.wait_for(8);
	EXPECT_TRUE(beside.exact());
	EXPECT_TRUE(beyond.exact());
}

// A huge page's leaf gives way where a page of it is bound to something else, and comes back with it.
SVM_TEST(Row26Windows, APageInAHugePageIsReplaced)
{
	svmirror::device device;
	if (!has_null(device))
		GTEST_SKIP() << "the device's page tables have no null";
	mapping memory(2 * mib);
	svmirror::vm vm(device);
	vm.bind_all();
	svmirror::queue queue(vm);
	ASSERT_EQ(device_fill(queue, memory.bytes(), std::byte{3}), 0);
	vm.bind_null(svmirror::address(&memory.at(77)), page);
	EXPECT_DEVICE_READS(queue, &memory.at(76), 3);
	EXPECT_DEVICE_READS(queue, &memory.at(77), 0);
	EXPECT_DEVICE_READS(queue, &memory.at(78), 3);
	ASSERT_EQ(device_fill(queue, memory.bytes(), std::byte{4}), 0);
	EXPECT_EQ(memory.at(76), std::byte{4});
	EXPECT_EQ(memory.at(77), std::byte{3});
	EXPECT_EQ(memory.at(78), std::byte{4});
	vm.bind(memory.bytes());
	EXPECT_DEVICE_READS(queue, &memory.at(77), 3);
	EXPECT_EQ(vm.bindings().size(), 1u) << "neighbours that lead on alike are one";
}

SVM_TEST(Row26Windows, ATebibyteOfNullCostsNoPages)
{
	svmirror::device device;
	if (!has_null(device))
		GTEST_SKIP() << "the device's page tables have no null";
	svmirror::vm vm(device);
	constexpr std::uint64_t tib = 1ull << 40;
	vm.bind_null(2 * tib, tib);
	svmirror::queue queue(vm);
	mapping to(page);
	to.at(0) = std::byte{5};
	for (unsigned i = 0; i < 64; i++) {
		ASSERT_EQ(finish(queue.submit(SVMIRROR_FILL, {2 * tib + i * (tib / 64), 4 * page, 7})).status, 0);
		ASSERT_EQ(finish(queue.submit(SVMIRROR_COPY, {svmirror::address(to.data()), 2 * tib + i * (tib / 64), page})).status, -EFAULT)
			<< "the target is not bound";
	}
	vm.bind(to.bytes());
	ASSERT_EQ(finish(queue.submit(SVMIRROR_COPY, {svmirror::address(to.data()), 3 * tib - page, page})).status, 0);
	EXPECT_EQ(to.at(0), std::byte{0});
	svmirror::counters counters = vm.counters();
	EXPECT_LT(counters.device_bytes, 80u * page) << "a directory for each span that was touched and those above, and no table";
	EXPECT_EQ(counters.dirtied, 0u);
	EXPECT_EQ(finish(queue.submit(SVMIRROR_TOUCH, {3 * tib, page, page, 0})).status, -EFAULT);
	vm.unbind(2 * tib, tib);
	EXPECT_EQ(finish(queue.submit(SVMIRROR_TOUCH, {2 * tib, page, page, 0})).status, -EFAULT);
}

// What is bound lists in order, in records of the caller's size.
SVM_TEST(Row26Windows, BindingsAreListed)
{
	svmirror::device device;
	if (!has_null(device))
		GTEST_SKIP() << "the device's page tables have no null";
	svmirror::vm vm(device);
	std::vector<drm_svm_bind_op> all;
	for (unsigned i = 0; i < 300; i++) {
		drm_svm_bind_op one{};
		one.start = (1ull << 40) + i * 3 * page;
		one.length = page;
		one.kind = DRM_SVM_BIND_NULL;
		all.push_back(one);
	}
	vm.bind_many(all);
	EXPECT_TRUE(same(vm.bindings(), all));
	struct longer {
		drm_svm_bind_op op;
		std::uint64_t more = 1;
	} some[10];
	drm_svm_query ask{};
	ask.vm_id = vm.id();
	ask.query = DRM_SVM_QUERY_BINDINGS;
	EXPECT_EQ(ioctl(device.fd(), DRM_IOCTL_SVM_QUERY, &ask), 0);
	EXPECT_EQ(ask.size, 300 * sizeof(drm_svm_bind_op));
	ask.stride = sizeof(some[0]);
	ask.size = sizeof(some) - 1;
	ask.data = svmirror::address(&some);
	EXPECT_EQ(ioctl(device.fd(), DRM_IOCTL_SVM_QUERY, &ask), 0);
	EXPECT_EQ(ask.size, 9 * sizeof(some[0]));
	EXPECT_TRUE(some[8].op == all[8]);
	EXPECT_EQ(some[8].more, 0u);
	EXPECT_EQ(some[9].more, 1u);
	vm.unbind(0, 0);
	EXPECT_TRUE(vm.bindings().empty());
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
