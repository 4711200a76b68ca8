// SPDX-License-Identifier: GPL-2.0-only
/* Each step that can fail, fails once: the right error, nothing leaked, and it works the next time. */
#include "tests/unit/machine.hpp"

namespace svm_test
{

class failure_test : public machine
{
protected:
	/* Runs op with its first, second, … fallible step failing, until none is left; how many there were. */
	template <typename Op, typename Undo>
	unsigned fail_each(Op op, Undo undo)
	{
		for (unsigned n = 1;; n++) {
			inject.arm(n);

			int err = op();
			bool failed = !inject.armed();

			inject.arm(0);
			if (!failed) {
				EXPECT_EQ(err, 0);
				return n - 1;
			}
			EXPECT_EQ(err, -ENOMEM) << "step " << n;
			undo();
			if (HasFailure())
				return n;
		}
	}
};

TEST_F(failure_test, create)
{
	svm_vm *other = nullptr;
	u64 heap = live.heap, tables = gpus->tables;
	svm_vm_params p = params();
	unsigned steps = fail_each([&] { return svm_vm_create(&p, &other); },
				   [&] {
					   EXPECT_EQ(live.heap, heap);
					   EXPECT_EQ(gpus->tables, tables);
					   EXPECT_EQ(live.domains, 1u);
				   });

	EXPECT_GE(steps, 4u); /* vm, root's node, root's memory, domain */
	svm_vm_destroy(other);
	EXPECT_EQ(live.heap, heap);
}

TEST_F(failure_test, bind)
{
	u64 heap = live.heap;
	unsigned steps = fail_each([&] { return svm_bind_all(vm); }, [&] { EXPECT_EQ(live.heap, heap); });

	EXPECT_GE(steps, 1u);
}

/* Interval, its index entry, directories, table node, table memory, DMA mappings. */
TEST_F(failure_test, first_fault)
{
	map(BASE, 2 * MiB);
	touch(BASE, 8 * PAGE);
	ASSERT_EQ(svm_bind_all(vm), 0);
	unsigned steps = fail_each([&] { return fault(BASE, SVM_WRITE); },
				   [&] {
					   /* What a later fault can use may stay; pages may not. */
					   EXPECT_EQ(mem->dma_live(), 0u);
					   EXPECT_EQ(count().present, 0u);
					   EXPECT_EQ(device().read(BASE).what, gpu::status::fault);
				   });

	EXPECT_GE(steps, 16u); /* each page's mapping, and before it what stays from attempt to attempt */
	EXPECT_EQ(device().write(BASE, 1).what, gpu::status::ok);
}

/* The same, each time from nothing, so that each step fails with all before it done by the same fault. */
TEST_F(failure_test, first_fault_from_nothing)
{
	map(BASE, 2 * MiB);
	for (unsigned n = 1;; n++) {
		destroy();
		ASSERT_EQ(create(0, 12), 0);
		ASSERT_EQ(svm_bind_all(vm), 0);
		inject.arm(n);

		int err = fault(BASE, SVM_WRITE);

		if (inject.armed()) {
			inject.arm(0);
			EXPECT_EQ(err, 0);
			EXPECT_GE(n, 10u); /* interval 3, directories 2 × 3, table 2, mapping 1 */
			break;
		}
		ASSERT_EQ(err, -ENOMEM) << n;
		EXPECT_EQ(count().present, 0u);
		ASSERT_EQ(svm_unbind(vm, 0, USER_END), 0);
		expect_empty();
	}
}

TEST_F(failure_test, fault_on_a_thp)
{
	map(BASE, 4 * MiB, PROT_RW, true);
	touch(BASE, 4 * MiB);
	ASSERT_EQ(svm_bind_all(vm), 0);
	fail_each([&] { return fault(BASE, SVM_WRITE); }, [&] { EXPECT_EQ(mem->dma_live(), 0u); });
	EXPECT_EQ(mem->dma_live(), 1u);
	/* From huge to small: the table's memory and each page's mapping can be missing. */
	proc->dontneed(BASE, BASE + PAGE);
	fail_each([&] { return fault(BASE + PAGE, SVM_WRITE); }, [&] { EXPECT_EQ(mem->dma_live(), 0u); });
	EXPECT_EQ(count().present, 512u);
}

TEST_F(failure_test, prefetch)
{
	u64 pages;

	map(BASE, 6 * MiB);
	touch(BASE, 40 * PAGE);
	ASSERT_EQ(svm_bind_all(vm), 0);
	for (unsigned n = 1; n < 2000; n = n * 5 / 4 + 1) {
		destroy();
		ASSERT_EQ(create(), 0);
		ASSERT_EQ(svm_bind_all(vm), 0);
		inject.arm(n);

		int err = svm_prefetch(vm, BASE, BASE + 6 * MiB, SVM_WRITE, &pages);

		/* A table that another thread has just made may make room for this one, and its pages go. */
		if (!inject.armed()) {
			EXPECT_TRUE(err == -ENOMEM || err == 0) << n << ": " << err;
			EXPECT_LE(count().present, 1536u);
		} else {
			EXPECT_EQ(err, 0);
			EXPECT_EQ(pages, 1536u);
		}
		inject.arm(0);
		ASSERT_EQ(svm_unbind(vm, 0, USER_END), 0);
		expect_empty();
	}
}

/* A retry undoes what the attempt before it mapped for DMA. */
TEST_F(failure_test, retries_leak_no_mapping)
{
	unsigned rounds = 0;

	map(BASE, 2 * MiB);
	map(BASE + 2 * MiB, 2 * MiB, PROT_RW, true);
	touch(BASE, 4 * MiB);
	ASSERT_EQ(svm_bind_all(vm), 0);
	hook.fault_exit = [&](const auto &f) {
		if (++rounds % 5)
			proc->notifiers().during({f.cpu, f.cpu + PAGE}, [] {});
	};
	ASSERT_EQ(fault(BASE, SVM_WRITE), 0);
	u64 mapped = count().present; /* after some retries a fault asks for less */

	EXPECT_GE(mapped, 1u);
	EXPECT_EQ(mem->dma_live(), mapped);
	ASSERT_EQ(fault(BASE + 2 * MiB, SVM_WRITE), 0);
	EXPECT_EQ(mem->dma_live(), mapped + 1); /* one huge leaf */
	EXPECT_EQ(count().retries, 8u);
}

} // namespace svm_test
