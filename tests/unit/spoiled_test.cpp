// SPDX-License-Identifier: GPL-2.0-only
/*
 * A fault that invalidations spoil again and again: it asks for less each time, so that one gets through a storm, and
 * gives up in the end.
 */
#include "tests/unit/machine.hpp"

namespace svm_test
{

class spoiled_test : public bound_machine
{
protected:
	/* So many attempts find their table's sequence changed; how many pages each asked for. */
	void spoil(unsigned attempts)
	{
		hook.fault_entry = [this](const auto &f) { asked.push_back((f.end - f.start) / PAGE); };
		hook.fault_exit = [this, attempts](const auto &) {
			if (asked.size() <= attempts)
				proc->dontneed(BASE + 400 * PAGE, BASE + 401 * PAGE);
		};
	}

	std::vector<u64> asked;
};

TEST_F(spoiled_test, asks_for_the_table_then_the_granule_then_the_page)
{
	map(BASE, 2 * MiB);
	spoil(16);
	EXPECT_EQ(fault(BASE + 33 * PAGE, SVM_WRITE), 0);
	ASSERT_EQ(asked.size(), 17u);
	for (unsigned i = 0; i < asked.size(); i++)
		EXPECT_EQ(asked[i], i < 4 ? 512u : i < 16 ? 16u : 1u) << "attempt " << i;
	EXPECT_EQ(count().retries, 16u);
	EXPECT_EQ(count().present, 1u);
	EXPECT_EQ(mem->dma_live(), 1u);
	EXPECT_EQ(device().write(BASE + 33 * PAGE, 1).what, gpu::status::ok);
}

TEST_F(spoiled_test, the_granule_is_the_vms)
{
	recreate(0, 14);
	map(BASE, 2 * MiB);
	spoil(4);
	EXPECT_EQ(fault(BASE + 33 * PAGE), 0);
	EXPECT_EQ(asked, (std::vector<u64>{512, 512, 512, 512, 4}));
	EXPECT_EQ(count().present, 4u);
}

TEST_F(spoiled_test, gives_up_in_the_end)
{
	map(BASE, 2 * MiB);
	spoil(~0u);
	EXPECT_EQ(fault(BASE), -EAGAIN);
	EXPECT_EQ(asked.size(), 64u);
	EXPECT_EQ(count().retries, 64u);
	EXPECT_EQ(count().present, 0u);
	EXPECT_EQ(mem->dma_live(), 0u);
}

} // namespace svm_test
