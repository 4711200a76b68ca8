// SPDX-License-Identifier: GPL-2.0-only
/* mm/room.hpp: where memory for tables runs out, what is not needed goes, then what was not faulted in for longest. */
#include "tests/unit/room_machine.hpp"
#include "tests/unit/tree.hpp"

namespace svm_test
{

using room_test = room_machine;

TEST_F(room_test, idle_tables_make_room)
{
	map(BASE, 400 * TABLE);
	gpus->limit = 64;
	for (u64 i = 0; i < 400; i++) {
		ASSERT_EQ(device_write(BASE + i * TABLE, i), 0) << i;
		proc->dontneed(BASE + i * TABLE, BASE + (i + 1) * TABLE);
	}
	/* There is room for others, too. */
	svm_vm *other = make_other();

	ASSERT_NE(other, nullptr);
	ASSERT_EQ(svm_bind_all(other), 0);
	EXPECT_EQ(svm_fault(other, BASE, SVM_WRITE), 0);
	svm_vm_destroy(other);
	/* Tables in use stay while there are idle ones. */
	EXPECT_EQ(count().ptes_zapped, 400 * 16u);
}

TEST_F(room_test, tables_in_use_make_room)
{
	constexpr u64 n = 400;
	u64 v;

	map(BASE, n * TABLE);
	gpus->limit = 64;
	use(BASE, n);
	EXPECT_LE(gpus->tables, 64u);
	EXPECT_LE(mem->dma_live(), 64 * 16u);
	for (u64 i = 0; i < n; i++) {
		ASSERT_EQ(proc->read(BASE + i * TABLE, &v), 0);
		ASSERT_EQ(v, i + 1);
		ASSERT_EQ(device_read(BASE + i * TABLE, &v), 0);
		ASSERT_EQ(v, i + 1);
	}
	svm_vm *other = make_other();

	ASSERT_NE(other, nullptr);
	svm_vm_destroy(other);
}

TEST_F(room_test, those_not_faulted_in_for_longest_go)
{
	map(BASE, 400 * TABLE);
	gpus->limit = 67; /* root, two directories, 64 tables */
	use(BASE, 64);
	/* The first ones are faulted in again. */
	for (u64 i = 0; i < 8; i++)
		ASSERT_EQ(device_write(BASE + i * TABLE + MiB, 1), 0);
	ASSERT_EQ(device_write(BASE + 64 * TABLE, 1), 0);
	for (u64 i = 0; i < 8; i++)
		EXPECT_EQ(device().read(BASE + i * TABLE).what, gpu::status::ok) << i;
	EXPECT_EQ(device().read(BASE + 8 * TABLE).what, gpu::status::fault);
	EXPECT_EQ(device().read(BASE + 63 * TABLE).what, gpu::status::ok);
}

/* Huge leaves have no memory of their own, but the directories above them have. */
TEST_F(room_test, huge_leaves_go_for_their_directories)
{
	gpus->limit = 24;
	for (u64 i = 0; i < 60; i++) {
		map(BASE + i * GiB, TABLE, PROT_RW, true);
		ASSERT_EQ(device_write(BASE + i * GiB, i), 0) << i;
	}
	EXPECT_LE(gpus->tables, 24u);
}

TEST_F(room_test, empty_directories_go)
{
	gpus->limit = 40;
	for (u64 i = 0; i < 200; i++) {
		u64 va = (i + 1) * 64 * GiB;

		map(va, PAGE);
		ASSERT_EQ(device_write(va, i), 0) << i;
		proc->munmap(va, va + PAGE);
	}
	EXPECT_LE(count().directories, 40u);
	for (int i = 0; i < 8 && shrinkable(); i++) /* each level is passed over once */
		shrink(~0ull);
	EXPECT_TRUE(eventually([&] { return count().directories == 1 && gpus->tables == 1; })); /* the root */
	EXPECT_EQ(shrinkable(), 0u);
	map(BASE, PAGE);
	ASSERT_EQ(device_write(BASE, 1), 0);
}

/* Also where memory never runs out. */
TEST_F(room_test, sparse_touches_pile_nothing_up)
{
	for (u64 i = 0; i < 8000; i++) {
		u64 va = (i + 1) * 8 * GiB;

		map(va, PAGE);
		ASSERT_EQ(fault(va, SVM_WRITE), 0) << i;
		proc->munmap(va, va + PAGE);
	}
	EXPECT_LE(count().tables + count().directories, 2048u);
	EXPECT_TRUE(eventually([&] { return gpus->tables <= 2048; }));
	EXPECT_TRUE(eventually([&] { return count().host_bytes <= 8 * MiB; }));
}

TEST_F(room_test, nothing_to_take)
{
	svm_vm *other = nullptr;
	svm_vm_params p = params();

	map(BASE, PAGE);
	gpus->limit = gpus->tables.load();
	EXPECT_EQ(fault(BASE), -ENOMEM);
	EXPECT_EQ(svm_vm_create(&p, &other), -ENOMEM);
	gpus->limit = ~0ull;
	EXPECT_EQ(fault(BASE), 0);
}

TEST_F(room_test, killed)
{
	map(BASE, 100 * TABLE);
	gpus->limit = 64;
	use(BASE, 61);
	current().killed = true;
	EXPECT_EQ(fault(BASE + 99 * TABLE, SVM_WRITE), -EINTR);
	current().killed = false;
}

TEST_F(room_test, prefetch_makes_room_and_goes_on)
{
	u64 pages = 0;

	for (u64 i = 0; i < 200; i++)
		map(BASE + i * TABLE, 16 * PAGE);
	gpus->limit = 64;
	EXPECT_EQ(svm_prefetch(vm, BASE, BASE + 200 * TABLE, SVM_WRITE, &pages), 0);
	EXPECT_GE(pages, 32 * 16u); /* those that other threads evict before they are counted are not */
	EXPECT_LE(pages, 200 * 16u);
	EXPECT_LE(gpus->tables, 64u);
}

/* While an evicted table's flush is under way its pages go: the callback still finds them, and what is dirty is marked. */
TEST_F(room_test, callback_meets_a_leaving_table)
{
	bool once = true;
	std::atomic<int> late{1};
	std::thread waits;

	map(BASE, 100 * TABLE);
	gpus->limit = 64;
	use(BASE, 61);
	gpus->on_flush = [&](u64 start, u64) {
		if (!std::exchange(once, false))
			return;
		EXPECT_EQ(start, BASE);
		/* It is leaving: a fault waits until it has left, which is after this. */
		waits = std::thread([&] { late = fault(BASE, SVM_WRITE); });
		std::this_thread::sleep_for(std::chrono::milliseconds(20));
		EXPECT_EQ(late, 1);
		proc->dontneed(BASE, BASE + 61 * TABLE);
		EXPECT_EQ(mem->dma_live(), 0u);
	};
	ASSERT_EQ(fault(BASE + 61 * TABLE, SVM_WRITE), 0);
	gpus->on_flush = nullptr;
	EXPECT_FALSE(once);
	waits.join();
	EXPECT_EQ(late, 0);
}

/* ---- directories ---- */

template <typename F>
class directory_test : public tree_machine<F>
{
protected:
	svm::directory &above(svm::table &t)
	{
		return *t.parent;
	}

	/* The device's entry that leads to it. */
	void *entry_of(const svm::directory &d)
	{
		return static_cast<char *>(d.parent->mem.cpu) + (u64(d.index) << F::levels[d.parent->level].entry_lg2);
	}
};
TYPED_TEST_SUITE(directory_test, all_formats, format_names);

TYPED_TEST(directory_test, only_an_empty_one_goes)
{
	using M = TestFixture;
	svm::table &t = this->table_at(0);
	svm::directory &d = this->above(t);

	EXPECT_FALSE(M::walk::take_out_empty(this->pt, d));
	{
		svm::reader section(this->pt.domain);

		M::take_out(t, {0, M::span}, this);
		EXPECT_TRUE(M::walk::take_out_empty(this->pt, d));
		EXPECT_FALSE(M::walk::take_out_empty(this->pt, d)); /* once */
		EXPECT_EQ(d.parent->child[d.index].load_relaxed(), nullptr);
	}
	/* The device finds no way to it, and a walk makes another. */
	EXPECT_EQ(TypeParam::load(this->entry_of(d)), TypeParam::empty(d.level - 1u));
	EXPECT_NE(&this->above(this->table_at(0)), &d);
	svm::defer(this->pt.domain, d);
	this->pt.pending.fetch_add_relaxed(1);
}

/* One that was just made is published before it is linked: who finds it so links it before going on. */
TYPED_TEST(directory_test, is_linked_by_who_goes_on)
{
	using M = TestFixture;
	svm::directory &d = this->above(this->table_at(0));
	u64 link = TypeParam::load(this->entry_of(d));

	EXPECT_EQ(TypeParam::classify(link, d.level - 1u), svm::entry_state::link);
	/* As its maker leaves it if it is stopped in between. */
	TypeParam::store(this->entry_of(d), d.level - 1, TypeParam::empty(d.level - 1u));
	d.linked.store_relaxed(false);
	this->table_at(M::span);
	EXPECT_EQ(TypeParam::load(this->entry_of(d)), link);
	EXPECT_TRUE(d.linked.load_relaxed());
}

/* And does not link it any more once it is on its way out. */
TYPED_TEST(directory_test, is_not_linked_once_it_is_closed)
{
	using M = TestFixture;
	svm::directory &d = this->above(this->table_at(0));
	svm::reader section(this->pt.domain);

	M::take_out(*M::walk::find(this->pt, 0), {0, M::span}, this);
	TypeParam::store(this->entry_of(d), d.level - 1, TypeParam::empty(d.level - 1u));
	d.linked.store_relaxed(false);
	d.children.store_relaxed(svm::directory::closed);
	EXPECT_EQ(M::walk::make_table(this->pt, 0).error(), -EBUSY);
	EXPECT_EQ(TypeParam::load(this->entry_of(d)), TypeParam::empty(d.level - 1u));
	/* Nor does a table get into it. */
	d.linked.store_relaxed(true);
	EXPECT_EQ(M::walk::make_table(this->pt, 0).error(), -EBUSY);
	d.children.store_relaxed(0);
}

} // namespace svm_test
