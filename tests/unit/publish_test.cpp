// SPDX-License-Identifier: GPL-2.0-only
/*
 * Table memory that is write-combining: the device sees a store from publish() on. So whatever a call promises must
 * have been published by then, and what a flush makes the device forget before the flush.
 */
#include "mm/vm.hpp"
#include "tests/host/buffered_backend.hpp"
#include "tests/unit/tree.hpp"

namespace svm_test
{

class publish_test : public machine
{
protected:
	void SetUp() override
	{
		current().killed = false;

		svm_vm_params p = params();

		p.ops = &buffered_backend::ops;
		p.backend = &buffer;
		ASSERT_EQ(svm_vm_create(&p, &vm), 0);
		device().set_root(svm_vm_root(vm)->addr, false);
		ASSERT_EQ(svm_bind_all(vm), 0);
		/* What is flushed is not in the table any more: else the device takes it up again right after. */
		gpus->on_flush = [this](u64 start, u64) {
			flushes++;
			if (still) {
				EXPECT_NE(device().look(start).what, translation::outcome::mapped);
			}
		};
	}

	void TearDown() override
	{
		gpus->on_flush = nullptr;
		machine::TearDown();
	}

	buffered_backend buffer{*gpus};
	unsigned flushes = 0;
	bool still = true;
};

/* The first fault links three directories and a table, and writes leaves: the device walks all of it. */
TEST_F(publish_test, fault)
{
	map(BASE, 2 * MiB);
	touch(BASE, PAGE, 7);
	ASSERT_EQ(fault(BASE), 0);
	EXPECT_EQ(device().read(BASE).value, 7u);
}

/* Also where the directories and the table are there already, so that nothing else publishes. */
TEST_F(publish_test, fault_in_a_table_that_is_there)
{
	map(BASE, 2 * MiB);
	touch(BASE + 64 * PAGE, PAGE, 7);
	ASSERT_EQ(fault(BASE), 0);
	ASSERT_EQ(fault(BASE + 100 * PAGE), 0);
	EXPECT_EQ(device().read(BASE + 64 * PAGE).value, 7u);
	EXPECT_EQ(device().read(BASE + 100 * PAGE).what, gpu::status::ok);
}

TEST_F(publish_test, link_of_a_directory)
{
	ASSERT_TRUE(vm->pt.make_table(BASE).ok());
	EXPECT_EQ(device().look(BASE).depth, 3u); /* it reads the entry where the table will be */
}

TEST_F(publish_test, huge_leaf)
{
	map(BASE, 2 * MiB, PROT_RW, true);
	touch(BASE, PAGE, 7);
	ASSERT_EQ(fault(BASE), 0);
	EXPECT_EQ(device().look(BASE).lg2, 21u);
	EXPECT_EQ(device().read(BASE).value, 7u);
}

TEST_F(publish_test, right_granted_to_a_huge_leaf)
{
	map(BASE, 2 * MiB, PROT_RW, true);
	touch(BASE, PAGE);
	auto child = proc->fork();
	ASSERT_EQ(fault(BASE), 0);
	ASSERT_EQ(device().look(BASE).lg2, 21u);
	ASSERT_FALSE(device().look(BASE).write);
	child.reset(); /* the only user may write again, and is told of nothing */
	still = false; /* a flush that grants leaves the leaf where it is */
	ASSERT_EQ(fault(BASE, SVM_WRITE), 0);
	EXPECT_TRUE(device().look(BASE).write);
	EXPECT_EQ(device().write(BASE, 1).what, gpu::status::ok);
	still = true;
}

TEST_F(publish_test, retired_leaves_before_their_flush)
{
	map(BASE, 2 * MiB);
	ASSERT_EQ(fault(BASE, SVM_WRITE), 0);
	ASSERT_EQ(proc->munmap(BASE, BASE + PAGE), 0);
	EXPECT_EQ(flushes, 1u);
	EXPECT_EQ(device().read(BASE).what, gpu::status::fault);
}

TEST_F(publish_test, retired_huge_leaf_before_its_flush)
{
	map(BASE, 2 * MiB, PROT_RW, true);
	touch(BASE, PAGE);
	ASSERT_EQ(fault(BASE, SVM_WRITE), 0);
	ASSERT_EQ(proc->munmap(BASE, BASE + 2 * MiB), 0);
	EXPECT_EQ(flushes, 1u);
	EXPECT_EQ(device().read(BASE).what, gpu::status::fault);
}

/* The way to the table's memory goes before the flush, which makes the device forget it. */
TEST_F(publish_test, unlinked_table_before_its_flush)
{
	map(BASE, 2 * MiB);
	ASSERT_EQ(fault(BASE, SVM_WRITE), 0);
	ASSERT_EQ(proc->munmap(BASE, BASE + 2 * MiB), 0);
	gpus->on_flush = [this](u64 start, u64) { EXPECT_LE(device().look(start).depth, 3u); };
	while (shrinkable())
		shrink(~0ull);
	EXPECT_EQ(count().tables, 0u);
}

/*
 * A format's empty word need not be zero. The device reads it everywhere in a fresh directory or table before another CPU can lead
 * the device there: that CPU publishes its own stores only.
 */
template <typename F>
class fresh_words_test : public tree_machine<F>
{
protected:
	using M = tree_machine<F>;

	void SetUp() override
	{
		buffer = std::make_unique<buffered_backend>(*M::gpus);
		M::SetUp_on(buffered_backend::ops, buffer.get());
	}

	/* Whether the device reads the empty word of the level in all entries. */
	void expect_empty_words(const svm_table_mem &mem, unsigned lv)
	{
		const u64 *written = static_cast<const u64 *>(mem.cpu);
		u64 bytes = 1ull << (F::levels[lv].index_bits + F::levels[lv].entry_lg2);

		for (u64 at = 0; at < bytes; at += 1ull << F::levels[lv].entry_lg2)
			ASSERT_EQ(F::load(static_cast<const char *>(mem.cpu) + at), F::empty(lv)) << at;
		for (u64 i = 0; i < bytes / 8; i++)
			ASSERT_EQ(M::gpus->read(mem.addr + i * 8, false), written[i]) << i;
	}

	std::unique_ptr<buffered_backend> buffer;
};
TYPED_TEST_SUITE(fresh_words_test, all_formats, format_names);

TYPED_TEST(fresh_words_test, of_a_directory)
{
	this->expect_empty_words(this->pt.root->mem, 0);
}

TYPED_TEST(fresh_words_test, of_a_table)
{
	svm::table &t = this->table_at(0);

	this->equip(t);

	svm::table_guard lock(t.lock);

	this->expect_empty_words(t.mem, TestFixture::geometry::table_level);
}

} // namespace svm_test
