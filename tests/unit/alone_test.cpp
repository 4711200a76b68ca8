// SPDX-License-Identifier: GPL-2.0-only
/* SVM_VM_EXCLUSIVE_ATOMICS: for an atomic of the device the page is taken away from the CPU, whose touch gets it back. */
#include "tests/unit/machine.hpp"

namespace svm_test
{

class alone_test : public machine
{
protected:
	void SetUp() override
	{
		machine::SetUp();
		ASSERT_EQ(create_exclusive(), 0);
		map(BASE, 32 * PAGE);
		touch(BASE, 32 * PAGE);
	}

	int create_exclusive()
	{
		destroy();

		svm_vm_params p = params(0, 0);

		p.flags = SVM_VM_EXCLUSIVE_ATOMICS;
		if (int err = svm_vm_create(&p, &vm))
			return err;
		gpus->device().set_root(svm_vm_root(vm)->addr, svm_vm_root(vm)->aperture == SVM_VRAM);
		return svm_bind_all(vm);
	}

	/* What the device may do at va, by the tables. */
	std::string may(u64 va)
	{
		translation t = device().look(va);

		if (t.what != translation::outcome::mapped)
			return "";
		return t.atomic ? "rwa" : t.write ? "rw" : "r";
	}
};

TEST_F(alone_test, writing_is_no_right_to_atomics)
{
	EXPECT_EQ(fault(BASE, SVM_WRITE), 0);
	EXPECT_EQ(may(BASE), "rw");
	EXPECT_EQ(may(BASE + 15 * PAGE), "rw");
	EXPECT_EQ(device().add(BASE, 1).what, gpu::status::fault);
	EXPECT_EQ(fault(BASE + 3 * PAGE, SVM_ATOMIC), 0);
	EXPECT_EQ(may(BASE + 3 * PAGE), "rwa") << "the right is granted in place";
	EXPECT_EQ(may(BASE + 4 * PAGE), "rw");
	EXPECT_EQ(device().add(BASE + 3 * PAGE, 10).what, gpu::status::ok);

	u64 dma = mem->dma_live(), faults = count().duplicates;

	EXPECT_EQ(fault(BASE + 3 * PAGE, SVM_ATOMIC), 0);
	EXPECT_EQ(count().duplicates, faults + 1) << "it is had already";
	EXPECT_EQ(mem->dma_live(), dma);
}

TEST_F(alone_test, a_touch_of_the_cpus_gets_the_page_back)
{
	u64 v = 0;

	ASSERT_EQ(fault(BASE, SVM_ATOMIC), 0); /* the first fault in the table */
	EXPECT_EQ(may(BASE), "rwa");
	EXPECT_EQ(may(BASE + PAGE), "") << "only this page";
	ASSERT_EQ(device().add(BASE, 10).what, gpu::status::ok);
	ASSERT_EQ(proc->read(BASE, &v), 0);
	EXPECT_EQ(v, 11u);
	EXPECT_EQ(may(BASE), "");
	EXPECT_EQ(fault(BASE, SVM_READ), 0);
	EXPECT_EQ(may(BASE), "rw");
	EXPECT_EQ(fault(BASE, SVM_ATOMIC), 0);
	EXPECT_EQ(may(BASE), "rwa");
	/* An access of the device's that is not atomic has no need of it. */
	EXPECT_EQ(fault(BASE + PAGE, SVM_WRITE), 0);
	EXPECT_EQ(may(BASE), "rwa");
	/* The leaf is lost, the CPU's entry is as it was. */
	ASSERT_EQ(svm_unbind(vm, BASE, BASE + PAGE), 0);
	ASSERT_EQ(svm_bind(vm, BASE, BASE + PAGE, 0), 0);
	EXPECT_EQ(fault(BASE, SVM_ATOMIC), 0);
	EXPECT_EQ(may(BASE), "rwa");
	EXPECT_EQ(proc->munmap(BASE, BASE + 32 * PAGE), 0);
	EXPECT_EQ(may(BASE), "");
	EXPECT_EQ(mem->dma_live(), 0u);
}

TEST_F(alone_test, what_cannot_be_had_alone)
{
	map(BASE + 2 * MiB, PAGE, PROT_R);
	ASSERT_EQ(proc->mmap({.start = BASE + 4 * MiB,
			      .end = BASE + 4 * MiB + PAGE,
			      .kind = backing::shared,
			      .object = std::make_shared<file>(*mem)}),
		  0);
	EXPECT_EQ(fault(BASE + 2 * MiB, SVM_ATOMIC), -EPERM);
	EXPECT_EQ(fault(BASE + 3 * MiB, SVM_ATOMIC), -EFAULT);
	EXPECT_EQ(fault(BASE + 4 * MiB, SVM_ATOMIC), -EOPNOTSUPP);
	EXPECT_EQ(fault(BASE + 4 * MiB, SVM_WRITE), 0);
	EXPECT_EQ(may(BASE + 4 * MiB), "rw");
	map(BASE + 6 * MiB, PAGE);
	EXPECT_EQ(fault(BASE + 6 * MiB, SVM_ATOMIC), 0) << "never touched before";
	EXPECT_EQ(may(BASE + 6 * MiB), "rwa");
}

TEST_F(alone_test, in_its_own_memory_a_device_needs_nothing)
{
	u64 moved = 0, v = 0;

	ASSERT_EQ(svm_migrate(vm, BASE, BASE + 2 * PAGE, SVM_VRAM, &moved), 0);
	ASSERT_EQ(moved, 2u);
	EXPECT_EQ(fault(BASE, SVM_WRITE), 0);
	EXPECT_EQ(may(BASE), "rwa");
	EXPECT_EQ(may(BASE + 2 * PAGE), "rw");
	EXPECT_EQ(fault(BASE + PAGE, SVM_ATOMIC), 0);
	EXPECT_TRUE(device().look(BASE + PAGE).vram);
	EXPECT_EQ(device().add(BASE, 5).what, gpu::status::ok);
	EXPECT_EQ(proc->read(BASE, &v), 0);
	EXPECT_EQ(v, 6u);
}

/* A huge page is in pieces then. */
TEST_F(alone_test, a_page_of_a_huge_page)
{
	map(BASE + 2 * MiB, 2 * MiB, PROT_RW, true);
	ASSERT_EQ(proc->write(BASE + 2 * MiB, 7), 0);
	ASSERT_EQ(fault(BASE + 2 * MiB, SVM_WRITE), 0);
	ASSERT_EQ(count().huge_leaves, 1u);
	EXPECT_EQ(fault(BASE + 2 * MiB + PAGE, SVM_ATOMIC), 0);
	EXPECT_EQ(may(BASE + 2 * MiB + PAGE), "rwa");
	EXPECT_EQ(may(BASE + 2 * MiB), "");
	EXPECT_EQ(fault(BASE + 2 * MiB, SVM_WRITE), 0);
	EXPECT_EQ(may(BASE + 2 * MiB), "rw");
	EXPECT_EQ(may(BASE + 2 * MiB + PAGE), "rwa");
}

/* fork() gives both the page, and neither may write it. */
TEST_F(alone_test, fork_takes_it_from_the_device)
{
	ASSERT_EQ(fault(BASE, SVM_ATOMIC), 0);
	ASSERT_EQ(device().add(BASE, 10).what, gpu::status::ok);

	auto child = proc->fork();

	EXPECT_EQ(may(BASE), "");
	EXPECT_EQ(child->read(BASE), 11u);
	EXPECT_EQ(fault(BASE, SVM_ATOMIC), 0);
	ASSERT_EQ(device().add(BASE, 10).what, gpu::status::ok);
	EXPECT_EQ(child->read(BASE), 11u);
}

/* Of another vm of the process the leaf goes, and its access gives the page back. */
TEST_F(alone_test, one_device_at_a_time)
{
	svm_vm *other;
	backend other_gpu(*mem);
	svm_vm_params p = params(0, 0);

	p.backend = &other_gpu;
	p.flags = SVM_VM_EXCLUSIVE_ATOMICS;
	ASSERT_EQ(svm_vm_create(&p, &other), 0);
	other_gpu.device().set_root(svm_vm_root(other)->addr, svm_vm_root(other)->aperture == SVM_VRAM);
	ASSERT_EQ(svm_bind_all(other), 0);
	ASSERT_EQ(svm_fault(other, BASE, SVM_WRITE), 0);
	ASSERT_EQ(fault(BASE, SVM_ATOMIC), 0);
	EXPECT_EQ(may(BASE), "rwa");
	EXPECT_EQ(other_gpu.device().look(BASE).what, translation::outcome::absent);
	ASSERT_EQ(svm_fault(other, BASE, SVM_ATOMIC), 0);
	EXPECT_EQ(may(BASE), "");
	EXPECT_TRUE(other_gpu.device().look(BASE).atomic);
	ASSERT_EQ(fault(BASE, SVM_READ), 0);
	EXPECT_EQ(other_gpu.device().look(BASE).what, translation::outcome::absent);
	svm_vm_destroy(other);
	other_gpu.device().invalidate(0, ~0ull);
}

/* A CPU and a device add at the same time: the CPU has no access to the page while the device's addition is under way. */
TEST_F(alone_test, never_both)
{
	constexpr u64 times = 300;
	std::atomic<bool> both{false}, stopping{false};
	u64 counted = 0, added = 0, v = 0;

	device().set_rule([&](u64 va, u64) {
		if (proc->snapshot(proc->find(va), va))
			both = true;
		return true;
	});

	thread cpu([&] {
		for (; !stopping; counted++)
			if (proc->add(BASE, 1))
				ADD_FAILURE() << "the CPU's addition";
	});
	auto late = std::chrono::steady_clock::now() + std::chrono::seconds(20);

	while (added < times && std::chrono::steady_clock::now() < late) {
		if (device().add(BASE, 1000).what == gpu::status::ok)
			added++;
		else if (int err = fault(BASE, SVM_ATOMIC); err && err != -EAGAIN)
			ADD_FAILURE() << err;
	}
	stopping = true;
	cpu.join();
	EXPECT_EQ(added, times) << "both go on";
	ASSERT_EQ(proc->read(BASE, &v), 0);
	EXPECT_EQ(v, 1 + added * 1000 + counted);
	EXPECT_FALSE(both);
}

TEST_F(alone_test, bad_flags)
{
	svm_vm_params p = params(0, 0);
	svm_vm *other;

	p.flags = SVM_VM_EXCLUSIVE_ATOMICS | SVM_VM_NO_FAULT;
	EXPECT_EQ(svm_vm_create(&p, &other), -EINVAL);
	p.flags = SVM_VM_EXCLUSIVE_ATOMICS;
	if (const svm_format *f = svm_format_find("amd_gfx9")) {
		p.format = f;
		EXPECT_EQ(svm_vm_create(&p, &other), -EINVAL) << "its leaves allow atomics where they allow writes";
	}
}

} // namespace svm_test
