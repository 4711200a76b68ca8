// SPDX-License-Identifier: GPL-2.0-only
/* Buffer objects in a vm: what both sides see of them, beside the process's memory, replaced, read-only, closed while in use. */
#include <cerrno>
#include <chrono>
#include <cstring>
#include <memory>
#include <thread>
#include <vector>

#include "objects.hpp"

using namespace harness;
using namespace std::chrono_literals;

SVM_TEST(Row26Objects, BothSidesSeeTheSameMemory)
{
	gpu gpu;
	for (place where : places) {
		shared_object one(gpu, 600 * page, where);
		EXPECT_TRUE(device_holds(gpu.queue, one.bytes(), std::byte{0})) << "a new buffer reads zero";
		EXPECT_TRUE(holds(one.bytes(), std::byte{0}));
		EXPECT_EQ(one.buffer.where(), place_of(gpu.device, where));
		ASSERT_EQ(device_fill(gpu.queue, one.memory.bytes(0, 300), std::byte{0x21}), 0);
		EXPECT_TRUE(holds(one.memory.bytes(0, 300), std::byte{0x21}));
		EXPECT_TRUE(holds(one.memory.bytes(300, 300), std::byte{0}));
		std::memset(&one.at(300), 0x43, 300 * page);
		EXPECT_TRUE(device_holds(gpu.queue, one.memory.bytes(300, 300), std::byte{0x43}));
		EXPECT_TRUE(device_holds(gpu.queue, one.memory.bytes(0, 300), std::byte{0x21}));
	}
	EXPECT_TRUE(gpu.vm.fault_log().empty());
}

// What the CPU wrote before anything was bound is there too, and so is what comes by a second view.
SVM_TEST(Row26Objects, TheCpuIsFirst)
{
	gpu gpu;
	for (place where : places) {
		svmirror::buffer one(gpu.device, 16 * page, where);
		EXPECT_EQ(one.size(), 16 * page);
		EXPECT_EQ(one.info().moves, 0u);
		svmirror::buffer_view view = one.map(), second = one.map();
		EXPECT_TRUE(holds(view.bytes(), std::byte{0}));
		view.bytes()[5 * page] = std::byte{5};
		EXPECT_EQ(second.bytes()[5 * page], std::byte{5});
		mapping at(16 * page);
		gpu.vm.bind(svmirror::address(at.data()), one);
		EXPECT_DEVICE_READS(gpu.queue, &at.at(5), 5);
		EXPECT_DEVICE_READS(gpu.queue, &at.at(6), 0);
	}
}

SVM_TEST(Row26Objects, BoundWithoutAFaultUnlessOnDemand)
{
	gpu gpu;
	for (place where : places) {
		shared_object now(gpu, 600 * page, where), later(gpu, 600 * page, where, DRM_SVM_BIND_ON_DEMAND);
		svmirror::job_result result = finish(gpu.queue.fill(now.bytes(), std::byte{1}));
		EXPECT_EQ(result.status, 0);
		EXPECT_EQ(result.faults, 0u);
		EXPECT_EQ(result.bytes, now.bytes().size());
		result = finish(gpu.queue.fill(later.bytes(), std::byte{2}));
		EXPECT_EQ(result.status, 0);
		EXPECT_GE(result.faults, 1u);
		EXPECT_TRUE(holds(now.bytes(), std::byte{1}));
		EXPECT_TRUE(holds(later.bytes(), std::byte{2}));
	}
}

// A piece of VRAM that lies together is mapped by one entry where the format has one for a whole table.
SVM_TEST(Row26Objects, LargeLeaves)
{
	gpu gpu;
	if (!leaves_reach_vram(gpu.device))
		GTEST_SKIP() << "the device's page tables do not reach VRAM";
	ASSERT_TRUE(gpu.device.info().leaf_sizes & table_span);
	svmirror::counters before = gpu.vm.counters();
	shared_object one(gpu, 4 * table_span, place::vram);
	svmirror::counters made = gpu.vm.counters() - before;
	EXPECT_EQ(made.huge_leaves, 4u);
	EXPECT_EQ(made.ptes_written, 0u);
	EXPECT_EQ(made.present, 4 * 512u);
	ASSERT_EQ(device_fill(gpu.queue, one.bytes(), std::byte{3}), 0);
	EXPECT_TRUE(holds(one.bytes(), std::byte{3}));
}

// Memory, null, a buffer in VRAM and one in system memory take turns, page by page, in one 2 MiB.
SVM_TEST(Row26Objects, SideBySideInOneTable)
{
	gpu gpu;
	mapping memory(2 * mib), to(2 * mib);
	memory.no_huge_pages();
	svmirror::buffer fast(gpu.device, 256 * page, place::vram), slow(gpu.device, 256 * page, place::system);
	svmirror::buffer_view fast_view = fast.map(), slow_view = slow.map();
	bool null = gpu.device.info().capabilities & DRM_SVM_CAPABILITY_NULL;
	std::vector<drm_svm_bind_op> ops;
	std::vector<std::byte *> leads_to; // for each page of device addresses: what it shows; nullptr: null
	for (std::size_t i = 0; i < memory.pages(); i++) {
		drm_svm_bind_op op{};
		op.start = svmirror::address(&memory.at(i));
		op.length = page;
		std::size_t inside = i / 4 * page;
		switch (i % 4) {
		case 0:
			leads_to.push_back(&memory.at(i));
			continue;
		case 1:
			leads_to.push_back(null ? nullptr : &memory.at(i));
			if (!null)
				continue;
			op.kind = DRM_SVM_BIND_NULL;
			break;
		case 2: // each page of it lies three pages on in the buffer
			op.kind = DRM_SVM_BIND_OBJECT;
			op.handle = fast.id();
			op.offset = static_cast<std::int64_t>(inside + 3 * page);
			leads_to.push_back(&fast_view.bytes()[inside + 3 * page]);
			break;
		default: // backwards
			op.kind = DRM_SVM_BIND_OBJECT;
			op.handle = slow.id();
			op.offset = static_cast<std::int64_t>(200 * page - inside);
			leads_to.push_back(&slow_view.bytes()[200 * page - inside]);
		}
		ops.push_back(op);
	}
	for (std::size_t i = 0; i < memory.pages(); i++) {
		memory.at(i) = std::byte{0xcc};
		if (leads_to[i])
			*leads_to[i] = std::byte(i % 251 + 1);
	}
	gpu.vm.bind_many(ops);
	ASSERT_EQ(finish(gpu.queue.copy(to.bytes(), memory.bytes())).status, 0);
	for (std::size_t i = 0; i < memory.pages(); i++)
		ASSERT_EQ(to.at(i), leads_to[i] ? std::byte(i % 251 + 1) : std::byte{0}) << "page " << i;
	ASSERT_EQ(device_fill(gpu.queue, memory.bytes(), std::byte{0xee}), 0);
	for (std::size_t i = 0; i < memory.pages(); i++) {
		ASSERT_TRUE(!leads_to[i] || *leads_to[i] == std::byte{0xee}) << "page " << i;
		ASSERT_TRUE(leads_to[i] == &memory.at(i) || memory.at(i) == std::byte{0xcc}) << "page " << i << ", which is bound to something else";
	}
	EXPECT_EQ(fast_view.bytes()[2 * page], std::byte{0}) << "before what is bound";
	EXPECT_EQ(fast_view.bytes()[131 * page], std::byte{0}) << "behind it";
	EXPECT_EQ(slow_view.bytes()[201 * page], std::byte{0});
	// what the CPU takes away takes its own pages along, and no neighbour
	ASSERT_EQ(madvise(&memory.at(256), page, MADV_DONTNEED), 0);
	EXPECT_DEVICE_READS(gpu.queue, &memory.at(256), 0);
	EXPECT_DEVICE_READS(gpu.queue, &memory.at(255), 0xee);
	EXPECT_DEVICE_READS(gpu.queue, &memory.at(258), 0xee);
}

SVM_TEST(Row26Objects, APartIsReplacedAndComesBack)
{
	gpu gpu;
	for (place where : places) {
		mapping memory(2 * mib);
		svmirror::buffer one(gpu.device, 2 * mib, where);
		svmirror::buffer_view view = one.map();
		gpu.vm.bind(svmirror::address(memory.data()), one);
		ASSERT_EQ(device_fill(gpu.queue, memory.bytes(), std::byte{1}), 0);
		gpu.vm.bind(memory.bytes(100, 10));
		EXPECT_DEVICE_READS(gpu.queue, &memory.at(99), 1);
		EXPECT_DEVICE_READS(gpu.queue, &memory.at(100), 0);
		EXPECT_DEVICE_READS(gpu.queue, &memory.at(109), 0);
		EXPECT_DEVICE_READS(gpu.queue, &memory.at(110), 1);
		ASSERT_EQ(device_fill(gpu.queue, memory.bytes(), std::byte{2}), 0);
		EXPECT_TRUE(holds(memory.bytes(100, 10), std::byte{2}));
		EXPECT_TRUE(holds(view.bytes().subspan(100 * page, 10 * page), std::byte{1}));
		EXPECT_TRUE(holds(view.bytes().first(100 * page), std::byte{2}));
		gpu.vm.bind(svmirror::address(&memory.at(100)), 10 * page, one, 100 * page);
		EXPECT_DEVICE_READS(gpu.queue, &memory.at(100), 1);
		EXPECT_EQ(gpu.vm.bindings().size(), 3u) << "memory, the buffer as one span, memory";
		// a hole in it, which is no memory of the process either
		gpu.vm.unbind(svmirror::address(&memory.at(200)), page);
		EXPECT_EQ(device_write(gpu.queue, &memory.at(200), std::byte{3}), EFAULT);
		EXPECT_DEVICE_READS(gpu.queue, &memory.at(201), 2);
		EXPECT_EQ(view.bytes()[200 * page], std::byte{2});
		gpu.vm.bind(memory.bytes());
	}
}

SVM_TEST(Row26Objects, AtTwoAddressesAndInTwoVms)
{
	gpu gpu;
	svmirror::vm other(gpu.device);
	svmirror::queue others(other);
	for (place where : places) {
		shared_object one(gpu, 600 * page, where);
		mapping again(300 * page);
		std::uint64_t far = 1ull << 40;
		gpu.vm.bind(svmirror::address(again.data()), again.size(), one.buffer, 300 * page);
		other.bind(far, one.buffer);
		ASSERT_EQ(device_fill(gpu.queue, again.bytes(), std::byte{5}), 0);
		EXPECT_TRUE(holds(one.memory.bytes(300, 300), std::byte{5}));
		EXPECT_TRUE(holds(one.memory.bytes(0, 300), std::byte{0}));
		ASSERT_EQ(finish(others.submit(SVMIRROR_FILL, {far + 299 * page, 2 * page, 6})).status, 0);
		EXPECT_DEVICE_READS(gpu.queue, &one.at(299), 6);
		EXPECT_DEVICE_READS(gpu.queue, &again.at(0), 6);
		EXPECT_DEVICE_READS(gpu.queue, &again.at(1), 5);
		// it is gone from one place, and stays at the others
		gpu.vm.unbind(svmirror::address(again.data()), again.size());
		EXPECT_EQ(device_fill(gpu.queue, again.bytes(), std::byte{7}), EFAULT);
		ASSERT_EQ(device_fill(gpu.queue, one.bytes(), std::byte{7}), 0);
		ASSERT_EQ(finish(others.submit(SVMIRROR_FILL, {far, 600 * page, 8})).status, 0);
		EXPECT_TRUE(holds(one.bytes(), std::byte{8}));
		other.unbind(far, 600 * page);
		EXPECT_EQ(finish(others.submit(SVMIRROR_FILL, {far, page, 9})).status, -EFAULT);
	}
}

SVM_TEST(Row26Objects, ReadOnly)
{
	gpu gpu;
	for (std::uint32_t when : {0, DRM_SVM_BIND_ON_DEMAND})
		for (place where : places) {
			shared_object one(gpu, 64 * page, where, DRM_SVM_BIND_READ_ONLY | when);
			one.at(3) = std::byte{7};
			EXPECT_DEVICE_READS(gpu.queue, &one.at(3), 7);
			EXPECT_EQ(device_write(gpu.queue, &one.at(3), std::byte{9}), EPERM);
			EXPECT_EQ(one.at(3), std::byte{7});
			EXPECT_DEVICE_READS(gpu.queue, &one.at(3), 7);
			std::vector<svmirror::fault_record> log = gpu.vm.fault_log();
			ASSERT_EQ(log.size(), 1u);
			EXPECT_EQ(log[0].va, svmirror::address(&one.at(3)));
			EXPECT_EQ(log[0].access, unsigned(DRM_SVM_ACCESS_WRITE));
			EXPECT_EQ(log[0].error, -EPERM);
			// the right to write comes with another bind
			gpu.vm.bind(svmirror::address(one.memory.data()), one.buffer);
			EXPECT_EQ(device_write(gpu.queue, &one.at(3), std::byte{9}), 0);
			EXPECT_EQ(one.at(3), std::byte{9});
		}
}

SVM_TEST(Row26Objects, PoliciesOfCaching)
{
	gpu gpu;
	for (std::uint32_t policy : {DRM_SVM_BIND_NONCOHERENT, DRM_SVM_BIND_UNCACHED})
		for (place where : places) {
			shared_object one(gpu, 64 * page, where, policy);
			one.at(1) = std::byte{1};
			EXPECT_DEVICE_READS(gpu.queue, &one.at(1), 1);
			ASSERT_EQ(device_fill(gpu.queue, one.bytes(), std::byte{2}), 0);
			EXPECT_TRUE(holds(one.bytes(), std::byte{2}));
		}
}

SVM_TEST(Row26Objects, BindingsNameTheHandle)
{
	svmirror::device device;
	svmirror::vm vm(device), other(device);
	svmirror::buffer one(device, 16 * page, place::system), two(device, 16 * page, place::vram);
	std::uint64_t at = 1ull << 40;
	vm.bind(at, 4 * page, one, 2 * page, DRM_SVM_BIND_READ_ONLY);
	vm.bind(at + 4 * page, 4 * page, one, 6 * page);
	vm.bind(at + 8 * page, two, DRM_SVM_BIND_ON_DEMAND | DRM_SVM_BIND_UNCACHED);
	std::vector<drm_svm_bind_op> all = vm.bindings();
	ASSERT_EQ(all.size(), 3u);
	std::uint32_t handles[] = {one.id(), one.id(), two.id()};
	std::uint32_t flags[] = {DRM_SVM_BIND_READ_ONLY, 0, DRM_SVM_BIND_ON_DEMAND | DRM_SVM_BIND_UNCACHED};
	std::uint64_t starts[] = {at, at + 4 * page, at + 8 * page}, lengths[] = {4 * page, 4 * page, 16 * page};
	std::int64_t offsets[] = {2 * page, 6 * page, 0};
	for (unsigned i = 0; i < 3; i++) {
		EXPECT_EQ(all[i].kind, unsigned(DRM_SVM_BIND_OBJECT)) << i;
		EXPECT_EQ(all[i].start, starts[i]) << i;
		EXPECT_EQ(all[i].length, lengths[i]) << i;
		EXPECT_EQ(all[i].offset, offsets[i]) << i;
		EXPECT_EQ(all[i].flags, flags[i]) << i;
		EXPECT_EQ(all[i].handle, handles[i]) << i;
		EXPECT_EQ(all[i].pad, 0u) << i;
	}
	// what was listed can be bound elsewhere as it is
	other.bind_many(all);
	EXPECT_EQ(other.bindings().size(), 3u);
	// neighbours that lead on alike are one
	vm.bind(at, 4 * page, one, 2 * page);
	EXPECT_EQ(vm.bindings().size(), 2u);
	ASSERT_EQ(one.close(), 0);
	all = vm.bindings();
	ASSERT_EQ(all.size(), 2u);
	EXPECT_EQ(all[0].handle, 0u) << "the file has no handle of it any more";
	EXPECT_EQ(all[1].handle, two.id());
}

SVM_TEST(Row26Objects, StaysWhileSomethingLeadsToIt)
{
	gpu gpu;
	for (place where : places) {
		mapping at(64 * page);
		svmirror::buffer_view view = [&] {
			svmirror::buffer one(gpu.device, at.size(), where);
			gpu.vm.bind(svmirror::address(at.data()), one);
			return one.map();
		}();
		ASSERT_EQ(device_fill(gpu.queue, at.bytes(), std::byte{4}), 0);
		EXPECT_TRUE(holds(view.bytes(), std::byte{4}));
		gpu.vm.unbind(svmirror::address(at.data()), at.size());
		EXPECT_TRUE(holds(view.bytes(), std::byte{4})) << "the view is left";
		EXPECT_EQ(device_fill(gpu.queue, at.bytes(), std::byte{5}), EFAULT);
	}
	// and with a binding alone
	mapping at(64 * page);
	{
		svmirror::buffer one(gpu.device, at.size(), place::vram);
		gpu.vm.bind(svmirror::address(at.data()), one);
	}
	ASSERT_EQ(device_fill(gpu.queue, at.bytes(), std::byte{6}), 0);
	EXPECT_TRUE(device_holds(gpu.queue, at.bytes(), std::byte{6}));
}

// A buffer that was moved out comes back when it is used and there is room.
SVM_TEST(Row26Objects, ComesBack)
{
	gpu gpu;
	if (!leaves_reach_vram(gpu.device))
		GTEST_SKIP() << "the device's page tables do not reach VRAM";
	std::size_t size = gpu.device.gpu().vram_bytes / 3 / table_span * table_span;
	shared_object one(gpu, size, place::vram);
	ASSERT_EQ(device_fill(gpu.queue, one.bytes(), std::byte{1}), 0);
	ASSERT_EQ(one.buffer.where(), place::vram);
	std::this_thread::sleep_for(60ms); // as long as the driver leaves it there at least
	{
		std::vector<std::unique_ptr<shared_object>> others;
		for (unsigned i = 0; i < 3; i++) {
			others.push_back(std::make_unique<shared_object>(gpu, size, place::vram));
			ASSERT_EQ(device_fill(gpu.queue, others[i]->bytes(), std::byte{2}), 0);
		}
		ASSERT_EQ(one.buffer.where(), place::system) << "it was there for longest";
	}
	EXPECT_TRUE(eventually([&] {
		return device_holds(gpu.queue, one.bytes(), std::byte{1}) && one.buffer.where() == place::vram;
	})) << "it is still in system memory";
	EXPECT_GE(one.buffer.info().moves, 2u);
	EXPECT_TRUE(holds(one.bytes(), std::byte{1}));
}
