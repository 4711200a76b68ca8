// SPDX-License-Identifier: GPL-2.0-only
/* mm/vm.hpp: making and ending a vm, and what it says about itself. */
#include "mm/vm.hpp"
#include "tests/unit/machine.hpp"

namespace svm_test
{

using vm_test = machine;

TEST_F(vm_test, formats_by_name)
{
	const svm_format *xe2 = svm_format_find("xe2");

	ASSERT_NE(xe2, nullptr);
	EXPECT_EQ(svm_format_find("xe"), nullptr);
	EXPECT_EQ(svm_format_find("xe22"), nullptr);
	EXPECT_EQ(svm_format_find(""), nullptr);
	EXPECT_STREQ(svm_format_names(), "xe2 nv_v2 nv_v3 amd_gfx9 amd_gfx12 mlx5_odp");
	for (const char *name : {"xe2", "nv_v2", "nv_v3", "amd_gfx9", "amd_gfx12", "mlx5_odp"}) {
		ASSERT_NE(svm_format_find(name), nullptr) << name;
		EXPECT_STREQ(svm_format_describe(svm_format_find(name))->name, name);
	}

	const svm_format_info *info = svm_format_describe(xe2);

	EXPECT_STREQ(info->name, "xe2");
	EXPECT_EQ(info->va_bits, 48u);
	EXPECT_EQ(info->table_lg2, 21u);
	EXPECT_EQ(info->leaf_sizes, 1ull << 12 | 1ull << 16 | 1ull << 21);
}

TEST_F(vm_test, create_refuses)
{
	svm_vm *other;
	const svm_vm_params good = params();
	auto with = [&](auto change) {
		svm_vm_params p = good;

		change(p);

		int err = svm_vm_create(&p, &other);

		if (!err)
			svm_vm_destroy(other);
		return err;
	};

	EXPECT_EQ(with([](auto &) {}), 0);
	EXPECT_EQ(with([](auto &p) { p.ops = nullptr; }), -EINVAL);
	EXPECT_EQ(with([](auto &p) { p.format = nullptr; }), -EINVAL);
	EXPECT_EQ(with([](auto &p) { p.mm = nullptr; }), -EINVAL);
	EXPECT_EQ(with([](auto &p) { p.interval_lg2 = 20; }), -EINVAL);
	EXPECT_EQ(with([](auto &p) { p.interval_lg2 = 21; }), 0);
	EXPECT_EQ(with([](auto &p) { p.interval_lg2 = 48; }), 0);
	EXPECT_EQ(with([](auto &p) { p.interval_lg2 = 49; }), -EINVAL);
	EXPECT_EQ(with([](auto &p) { p.interval_lg2 = ~0u; }), -EINVAL);
	EXPECT_EQ(with([](auto &p) { p.granule_lg2 = 11; }), -EINVAL);
	EXPECT_EQ(with([](auto &p) { p.granule_lg2 = 12; }), 0);
	EXPECT_EQ(with([](auto &p) { p.granule_lg2 = 21; }), 0);
	EXPECT_EQ(with([](auto &p) { p.granule_lg2 = 22; }), -EINVAL);
}

TEST_F(vm_test, root_and_mm)
{
	const svm_table_mem *root = svm_vm_root(vm);

	EXPECT_EQ(svm_vm_mm(vm), proc.get());
	EXPECT_NE(root->cpu, nullptr);
	EXPECT_EQ(root->bytes, 4096u);
	EXPECT_EQ(root->aperture, u32(SVM_SYSTEM));
	for (unsigned i = 0; i < 512; i++)
		ASSERT_EQ(static_cast<u64 *>(root->cpu)[i], 0u);
}

TEST_F(vm_test, a_new_vm_counts_its_root)
{
	svm_counters c = count();

	EXPECT_EQ(c.directories, 1u);
	EXPECT_EQ(c.device_bytes, 4096u);
	EXPECT_GE(c.host_bytes, 4096u);
	EXPECT_EQ(c.tables + c.intervals + c.present + c.faults + c.flushes + c.invalidations, 0u);
}

/* Ended in whatever state it is: with windows bound, memory mapped, the process alive. */
TEST_F(vm_test, destroy_with_everything_mapped)
{
	u64 pages;

	map(BASE, 8 * MiB);
	map(BASE + 8 * MiB, 8 * MiB, PROT_RW, true);
	ASSERT_EQ(svm_bind(vm, BASE, BASE + 16 * MiB, 0), 0);
	ASSERT_EQ(svm_bind(vm, GiB, 2 * GiB, 0), 0);
	ASSERT_EQ(svm_prefetch(vm, BASE, BASE + 16 * MiB, SVM_WRITE, &pages), 0);
	EXPECT_EQ(pages, 4096u);
	destroy();
	EXPECT_EQ(mem->dma_live(), 0u);
	EXPECT_EQ(gpus->tables, 0u);
	EXPECT_EQ(live.intervals, 0u);
	EXPECT_EQ(proc->munmap(BASE, BASE + 16 * MiB), 0); /* calls nobody back */
}

TEST_F(vm_test, destroy_after_exit)
{
	map(BASE, 4 * MiB);
	ASSERT_EQ(svm_bind_all(vm), 0);
	ASSERT_EQ(fault(BASE, SVM_WRITE), 0);
	proc->exit();
	running = false;
	EXPECT_EQ(mem->dma_live(), 0u);
	EXPECT_EQ(mem->frames_used(), 0u);
}

/* The last user of the mm is a fault: it goes through, and the mm's teardown takes away what it mapped. */
TEST_F(vm_test, exit_during_a_fault)
{
	map(BASE, 4 * MiB);
	touch(BASE, MiB);
	ASSERT_EQ(svm_bind_all(vm), 0);
	ASSERT_EQ(fault(BASE + 2 * MiB, SVM_WRITE), 0);
	hook.fault_entry = [&](const auto &) {
		if (running.exchange(false))
			proc->exit();
	};

	EXPECT_EQ(fault(BASE, SVM_WRITE), 0);
	EXPECT_TRUE(eventually([&] { return device().read(BASE).what == gpu::status::fault; }));
	EXPECT_TRUE(eventually([&] { return mem->dma_live() == 0; }));
	EXPECT_EQ(fault(BASE, SVM_WRITE), -EFAULT);
}

TEST_F(vm_test, exit_between_look_and_write)
{
	map(BASE, 4 * MiB);
	touch(BASE, MiB);
	ASSERT_EQ(svm_bind_all(vm), 0);
	hook.fault_exit = [&](const auto &) {
		if (running.exchange(false))
			proc->exit();
	};
	EXPECT_EQ(fault(BASE, SVM_WRITE), 0);
	EXPECT_TRUE(eventually([&] { return mem->dma_live() == 0; }));
}

TEST_F(vm_test, two_vms_on_one_process)
{
	backend second(*mem);
	svm_vm *other;
	svm_vm_params p = {.ops = &backend::ops,
			   .backend = &second,
			   .format = svm_format_find("xe2"),
			   .mm = proc.get(),
			   .dma_device = &dev,
			   .memory = nullptr,
			   .interval_lg2 = 0,
			   .granule_lg2 = 0,
			   .flags = 0};

	ASSERT_EQ(svm_vm_create(&p, &other), 0);
	second.device().set_root(svm_vm_root(other)->addr, false);
	ASSERT_EQ(svm_bind_all(vm), 0);
	ASSERT_EQ(svm_bind_all(other), 0);
	map(BASE, MiB);
	ASSERT_EQ(svm_fault(vm, BASE, SVM_WRITE), 0);
	ASSERT_EQ(svm_fault(other, BASE, SVM_WRITE), 0);
	EXPECT_EQ(device().write(BASE, 5).what, gpu::status::ok);
	EXPECT_EQ(second.device().read(BASE).value, 5u);
	proc->dontneed(BASE, BASE + PAGE);
	EXPECT_EQ(device().read(BASE).what, gpu::status::fault);
	EXPECT_EQ(second.device().read(BASE).what, gpu::status::fault);
	svm_vm_destroy(other);
}

/* Reclaim may look into a vm from the moment that the port knows of it, and until it forgets it. */
TEST_F(vm_test, created_while_the_shrinker_runs)
{
	std::atomic<bool> stop{false};
	std::thread t([&] {
		while (!stop)
			shrink(1);
	});
	svm_vm_params p = params();

	for (int i = 0; i < 300; i++) {
		svm_vm *other;

		ASSERT_EQ(svm_vm_create(&p, &other), 0);
		svm_vm_destroy(other);
	}
	stop = true;
	t.join();
}

/* Page tables in the device's own memory. */
TEST_F(vm_test, tables_in_vram)
{
	u64 v;

	destroy();
	gpus = std::make_unique<backend>(*mem, SVM_VRAM);
	ASSERT_EQ(create(), 0);
	EXPECT_EQ(svm_vm_root(vm)->aperture, u32(SVM_VRAM));
	ASSERT_EQ(svm_bind_all(vm), 0);
	map(BASE, 2 * MiB);
	touch(BASE, MiB);
	ASSERT_EQ(device_read(BASE + PAGE, &v), 0);
	EXPECT_EQ(v, 2u);
}

/* The device was reset and took its tables with it: what they say now is not believed, and everything else goes on. */
TEST_F(vm_test, tables_lost)
{
	destroy();
	gpus = std::make_unique<backend>(*mem, SVM_VRAM);
	ASSERT_EQ(create(), 0);
	ASSERT_EQ(svm_bind_all(vm), 0);
	map(BASE, 4 * MiB);
	map(BASE + 4 * MiB, 2 * MiB, PROT_RW, true);
	touch(BASE, 6 * MiB);
	for (u64 at = 0; at < 6 * MiB; at += 2 * MiB)
		ASSERT_EQ(fault(BASE + at, SVM_WRITE), 0);
	ASSERT_EQ(count().present, 1536u);
	gpus->lose();
	EXPECT_EQ(proc->dontneed(BASE, BASE + PAGE), 0);
	EXPECT_EQ(proc->munmap(BASE + 2 * MiB, BASE + 6 * MiB), 0);
	EXPECT_EQ(count().dirtied, 0u);
	fault(BASE + PAGE, SVM_WRITE); /* whatever it answers */
	EXPECT_EQ(svm_unbind(vm, 0, USER_END), 0);
	destroy();
	EXPECT_EQ(gpus->tables, 0u);
	EXPECT_EQ(mem->dma_live(), 0u); /* counted off, since nobody can name them */
}

/* A backend whose tables lie in ordinary memory needs no `publish`. */
TEST_F(vm_test, publish_is_optional)
{
	svm_backend_ops without = backend::ops;
	u64 v;

	ASSERT_EQ(svm_bind_all(vm), 0);
	map(BASE, 2 * MiB);
	touch(BASE, MiB);
	ASSERT_EQ(fault(BASE), 0);
	EXPECT_GE(gpus->publishes, 1u);
	destroy();
	without.publish = nullptr;

	svm_vm_params p = {.ops = &without,
			   .backend = gpus.get(),
			   .format = svm_format_find("xe2"),
			   .mm = proc.get(),
			   .dma_device = &dev,
			   .memory = nullptr,
			   .interval_lg2 = 0,
			   .granule_lg2 = 0,
			   .flags = 0};

	ASSERT_EQ(svm_vm_create(&p, &vm), 0);
	device().set_root(svm_vm_root(vm)->addr, false);
	ASSERT_EQ(svm_bind_all(vm), 0);
	ASSERT_EQ(device_read(BASE + PAGE, &v), 0);
	EXPECT_EQ(v, 2u);
	destroy();
}

} // namespace svm_test
