// SPDX-License-Identifier: GPL-2.0-only
/* What counts as present depends on the access: a page that may be read is not there for a write. */
#include "mm/vm.hpp"
#include "tests/unit/machine.hpp"

namespace svm_test
{

class present_test : public bound_machine
{
protected:
	u32 present(u64 va, svm_access access)
	{
		svm::reader section(vm->domain());
		svm::table *tb = vm->pt.find(va);

		return tb ? vm->pt.present(*tb, 0, vm->pt.entries(), access, nullptr) : 0;
	}
};

TEST_F(present_test, read_only_huge_leaf)
{
	map(BASE, 2 * MiB, PROT_RW, true);
	ASSERT_EQ(fault(BASE), 0); /* the huge zero page */
	ASSERT_EQ(device().look(BASE).lg2, 21u);
	EXPECT_EQ(present(BASE, SVM_READ), 512u);
	EXPECT_EQ(present(BASE, SVM_WRITE), 0u);
	EXPECT_EQ(present(BASE, SVM_ATOMIC), 0u);
	ASSERT_EQ(fault(BASE, SVM_WRITE), 0);
	EXPECT_EQ(present(BASE, SVM_WRITE), 512u);
}

TEST_F(present_test, read_only_leaves)
{
	map(BASE, 2 * MiB);
	ASSERT_EQ(fault(BASE), 0); /* the zero page, 16 times */
	EXPECT_EQ(present(BASE, SVM_READ), 16u);
	EXPECT_EQ(present(BASE, SVM_WRITE), 0u);
	ASSERT_EQ(fault(BASE + 3 * PAGE, SVM_WRITE), 0);
	EXPECT_EQ(present(BASE, SVM_WRITE), 16u);
}

/* Pages that may be read only lie beside those that are prefetched for writing, in the same table. */
TEST_F(present_test, prefetch_for_writing_counts_what_may_be_written)
{
	u64 pages = 0;

	map(BASE, 4 * PAGE);
	map(BASE + 4 * PAGE, 8 * PAGE, PROT_R);
	map(BASE + 12 * PAGE, 2 * PAGE);
	ASSERT_EQ(fault(BASE + 4 * PAGE), 0);
	ASSERT_EQ(present(BASE, SVM_READ), 8u);
	ASSERT_EQ(svm_prefetch(vm, BASE, BASE + 2 * MiB, SVM_WRITE, &pages), 0);
	EXPECT_EQ(pages, 6u);
	ASSERT_EQ(svm_prefetch(vm, BASE, BASE + 2 * MiB, SVM_READ, &pages), 0);
	EXPECT_EQ(pages, 14u);
}

} // namespace svm_test
