// SPDX-License-Identifier: GPL-2.0-only
/* The whole core on each format that is compiled in, with a device that reads the tables as that vendor's does. */
#include "tests/host/workload.hpp"
#include "tests/unit/machine.hpp"
#include "tests/unit/all_formats.hpp"
#include "tests/unit/seeded.hpp"

#include <random>

namespace svm_test
{

class every_format_test : public machine, public ::testing::WithParamInterface<const svm_format *>
{
protected:
	void SetUp() override
	{
		format = GetParam()->info.name;
		machine::SetUp();
		ASSERT_EQ(svm_bind_all(vm), 0);
	}

	bool has(u32 lg2) const
	{
		return GetParam()->info.leaf_sizes >> lg2 & 1;
	}
};

TEST_P(every_format_test, pages)
{
	map(BASE, 1 * MiB);
	touch(BASE, 128 * KiB);
	ASSERT_EQ(fault(BASE + 5 * PAGE, SVM_WRITE), 0);
	for (u64 i = 0; i < 32; i++) {
		u64 value = 0;

		ASSERT_EQ(device_read(BASE + i * PAGE, &value), 0);
		EXPECT_EQ(value, i + 1);
		ASSERT_EQ(device_write(BASE + i * PAGE, 100 + i), 0);
	}
	ASSERT_EQ(proc->dontneed(BASE + PAGE, BASE + 2 * PAGE), 0);
	EXPECT_EQ(device().read(BASE + PAGE).what, gpu::status::fault);
	EXPECT_EQ(device().read(BASE).value, 100u);
	EXPECT_EQ(device().read(BASE + 2 * PAGE).value, 102u);
	EXPECT_EQ(count().ptes_zapped, 1u);
	/* Read-only again, as a fork would have it, and then granted in place. */
	ASSERT_EQ(proc->mprotect(BASE, BASE + PAGE, PROT_R), 0);
	ASSERT_EQ(fault(BASE, SVM_READ), 0);
	EXPECT_EQ(device().write(BASE, 1).what, gpu::status::fault);
	EXPECT_EQ(device().read(BASE).value, 100u);
}

TEST_P(every_format_test, large_leaf_to_pages_and_back)
{
	map(BASE, 2 * MiB, PROT_RW, true);
	touch(BASE, PAGE);
	ASSERT_EQ(fault(BASE + MiB, SVM_WRITE), 0);
	EXPECT_TRUE(device().look(BASE).write);
	EXPECT_EQ(device().look(BASE).lg2 == 21, has(21)) << "one leaf, or a table whose pages all say that they are one block";
	ASSERT_EQ(proc->dontneed(BASE, BASE + PAGE), 0); /* splits it */
	EXPECT_EQ(device().look(BASE).what, translation::outcome::absent);
	ASSERT_EQ(fault(BASE + MiB, SVM_WRITE), 0);
	EXPECT_EQ(device().write(BASE + MiB, 7).what, gpu::status::ok);
	EXPECT_LT(device().look(BASE + MiB).lg2, 21u);
	touch(BASE, PAGE);
	proc->collapse(BASE);
	EXPECT_EQ(device().look(BASE + MiB).what, translation::outcome::absent);
	ASSERT_EQ(fault(BASE + MiB), 0);
	EXPECT_EQ(device().look(BASE).lg2 == 21, has(21));
	EXPECT_EQ(device().read(BASE + MiB).value, 7u);
	EXPECT_EQ(count().huge_leaves, GetParam()->huge ? 2u : 0u);
}

/* Half of a huge page, so that small leaves lie on contiguous memory. */
TEST_P(every_format_test, groups_come_and_go)
{
	u32 largest = 12;

	map(BASE, 2 * MiB, PROT_RW, true);
	touch(BASE, PAGE);
	destroy();
	ASSERT_EQ(create(), 0);
	ASSERT_EQ(svm_bind(vm, BASE, BASE + MiB, 0), 0);
	ASSERT_EQ(fault(BASE, SVM_WRITE), 0);
	for (u32 lg2 = 12; lg2 <= 20; lg2++)
		if (has(lg2))
			largest = lg2;
	EXPECT_EQ(device().look(BASE + 64 * KiB).lg2, largest);
	for (u64 i = 0; i < 256; i++)
		EXPECT_EQ(device().write(BASE + i * PAGE, i).what, gpu::status::ok) << i;
	EXPECT_TRUE(device().caches(BASE + 65 * KiB));
	ASSERT_EQ(proc->dontneed(BASE + 68 * KiB, BASE + 72 * KiB), 0);
	EXPECT_EQ(device().read(BASE + 68 * KiB).what, gpu::status::fault);
	EXPECT_FALSE(device().caches(BASE + 68 * KiB));
	ASSERT_EQ(fault(BASE, SVM_WRITE), 0); /* the CPU split its huge page, so all were taken */
	EXPECT_EQ(device().read(BASE + 64 * KiB).value, 16u);
	EXPECT_EQ(device().look(BASE + 64 * KiB).lg2, 12u);
	for (u64 i = 0; i < 256; i++) {
		if (i != 17) {
			EXPECT_EQ(device().read(BASE + i * PAGE).value, i) << i;
		}
	}
}

/* Everything that a process does, beside faults, for a moment: the device complains of each page that it should not reach. */
class every_format_load : public machine, public ::testing::WithParamInterface<const svm_format *>
{
protected:
	void SetUp() override
	{
		current().killed = false;
		format = GetParam()->info.name;
	}
};

TEST_P(every_format_load, runs)
{
	auto end = std::chrono::steady_clock::now() + std::chrono::milliseconds(150);
	workload load(*this, workload::scenarios().front());

	load.prepare();
	load.run([=] { return std::chrono::steady_clock::now() > end; },
		 [](size_t thread) { return workload::random(seeded(17 + thread)); });
}

INSTANTIATE_TEST_SUITE_P(formats, every_format_test, ::testing::ValuesIn(svm::formats::all),
			 [](const auto &info) { return info.param->info.name; });
INSTANTIATE_TEST_SUITE_P(formats, every_format_load, ::testing::ValuesIn(svm::formats::all),
			 [](const auto &info) { return info.param->info.name; });

} // namespace svm_test
