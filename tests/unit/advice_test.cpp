// SPDX-License-Identifier: GPL-2.0-only
/* mm/advice.hpp: what is told of spans, what faults and prefetches make of it, and the list of spans with what is where. */
#include "svm/memory.h"
#include "tests/unit/bind_machine.hpp"
#include "tests/unit/seeded.hpp"

#include <array>
#include <tuple>

namespace svm_test
{

class advice_test : public bind_machine
{
protected:
	static constexpr u64 pages = 40;
	static constexpr u64 END = BASE + pages * PAGE;

	void SetUp() override
	{
		machine::SetUp();
		ASSERT_EQ(svm_bind_all(vm), 0);
		map(BASE, pages * PAGE);
		touch(BASE, pages * PAGE);
		stopped_clock = 1000;
	}

	void TearDown() override
	{
		stopped_clock = 0;
		machine::TearDown();
	}

	int advise(std::vector<svm_advice> ops)
	{
		return svm_advise(vm, ops.data(), u32(ops.size()));
	}

	static svm_advice device_memory(u64 start = BASE, u64 end = END, u32 on_fault = SVM_ON_FAULT_MOVE)
	{
		return {start, end, SVM_PREFER_DEVICE, on_fault};
	}

	static svm_advice none(u64 start, u64 end)
	{
		return {start, end, SVM_PREFER_NONE, SVM_ON_FAULT_MOVE};
	}

	std::vector<svm_span> spans()
	{
		std::vector<svm_span> all(1000);

		all.resize(svm_spans(vm, 0, all.data(), u32(all.size())));
		return all;
	}

	/* Those that have advice. */
	using told = std::tuple<u64, u64, u32, u32>;
	std::vector<told> advised()
	{
		std::vector<told> all;

		for (const svm_span &s : spans())
			if (s.preferred || s.on_fault)
				all.emplace_back(s.start, s.end, s.preferred, s.on_fault);
		return all;
	}

	/* Does the device reach it, and in which memory? */
	bool in_vram(u64 va)
	{
		translation t = device().look(va);

		EXPECT_EQ(t.what, translation::outcome::mapped) << (va - BASE) / PAGE;
		return t.vram;
	}

	static u64 below(seeded &r, u64 n)
	{
		return r() % n;
	}

	/* Of the span's pages, as its list says. */
	std::pair<u64, u64> resident(u64 start)
	{
		for (const svm_span &s : spans())
			if (s.start == start)
				return {s.pages, s.device_pages};
		return {~0ull, ~0ull};
	}
};

TEST_F(advice_test, pieces_are_cut_and_joined)
{
	EXPECT_EQ(spans().size(), 1u);
	ASSERT_EQ(advise({device_memory(BASE, BASE + 8 * PAGE), device_memory(BASE + 8 * PAGE, END)}), 0);
	EXPECT_EQ(advised(), (std::vector<told>{{BASE, END, SVM_PREFER_DEVICE, SVM_ON_FAULT_MOVE}}));
	EXPECT_EQ(spans().size(), 3u);
	ASSERT_EQ(advise({device_memory(BASE + 4 * PAGE, BASE + 12 * PAGE, SVM_ON_FAULT_STAY)}), 0);
	ASSERT_EQ(advise({{BASE + 10 * PAGE, BASE + 20 * PAGE, SVM_PREFER_SYSTEM, 0}, none(BASE + 14 * PAGE, BASE + 15 * PAGE)}), 0);

	std::vector<told> all{{BASE, BASE + 4 * PAGE, SVM_PREFER_DEVICE, SVM_ON_FAULT_MOVE},
			      {BASE + 4 * PAGE, BASE + 10 * PAGE, SVM_PREFER_DEVICE, SVM_ON_FAULT_STAY},
			      {BASE + 10 * PAGE, BASE + 14 * PAGE, SVM_PREFER_SYSTEM, SVM_ON_FAULT_MOVE},
			      {BASE + 15 * PAGE, BASE + 20 * PAGE, SVM_PREFER_SYSTEM, SVM_ON_FAULT_MOVE},
			      {BASE + 20 * PAGE, END, SVM_PREFER_DEVICE, SVM_ON_FAULT_MOVE}};

	EXPECT_EQ(advised(), all);
	/* The list can begin anywhere. */
	svm_span one{};
	EXPECT_EQ(svm_spans(vm, BASE + 12 * PAGE, &one, 1), 1u);
	EXPECT_EQ(one.start, BASE + 12 * PAGE);
	EXPECT_EQ(one.end, BASE + 14 * PAGE);
	ASSERT_EQ(advise({none(BASE + 15 * PAGE, BASE + 30 * PAGE)}), 0);
	EXPECT_EQ(advised().size(), 4u);
	ASSERT_EQ(advise({none(0, 1ull << 48)}), 0);
	EXPECT_TRUE(advised().empty());
	EXPECT_TRUE(vm->advised.empty());
	EXPECT_EQ(spans().size(), 1u);
}

/* Against an array, with binds that take advice away, and steps that find no memory: then all is as it was. */
TEST_F(advice_test, random_against_an_array)
{
	seeded r(47);
	struct page_model {
		bool mirrors = true;
		u32 preferred = 0, on_fault = 0;

		bool operator==(const page_model &) const = default;
	};
	std::array<page_model, pages> m{};
	unsigned failed = 0, refused = 0;

	for (unsigned round = 0; round < 2000; round++) {
		auto next = m;
		int want = 0, got;
		bool fails = below(r, 8) == 0;

		if (fails)
			inject.arm(1 + below(r, 6));
		if (below(r, 4)) {
			std::vector<svm_advice> ops(1 + below(r, 3));

			for (svm_advice &op : ops) {
				u64 first = below(r, pages), last = first + 1 + below(r, pages - first);

				op = {BASE + first * PAGE, BASE + last * PAGE, u32(below(r, 3)), u32(below(r, 2))};
				for (u64 i = first; i < last; i++) {
					if (!next[i].mirrors && (op.preferred || op.on_fault))
						want = -EINVAL;
					next[i] = {next[i].mirrors, op.preferred, op.on_fault};
				}
			}
			got = advise(ops);
		} else {
			u64 first = below(r, pages), last = first + 1 + below(r, pages - first);
			bool mirrors = below(r, 3) != 0;

			for (u64 i = first; i < last; i++)
				next[i] = next[i].mirrors && mirrors ? next[i] : page_model{.mirrors = mirrors};
			got = mirrors ? svm_bind(vm, BASE + first * PAGE, BASE + last * PAGE, 0) :
					svm_unbind(vm, BASE + first * PAGE, BASE + last * PAGE);
		}
		inject.arm(0);
		if (got == -ENOMEM) {
			ASSERT_TRUE(fails);
			failed++;
		} else {
			ASSERT_EQ(got, want) << round;
			refused += got != 0;
		}
		if (!got)
			m = next;
		std::array<page_model, pages> seen{};

		for (page_model &p : seen)
			p.mirrors = false;
		for (const svm_span &s : spans())
			for (u64 i = 0; i < pages; i++)
				if (BASE + i * PAGE >= s.start && BASE + i * PAGE < s.end)
					seen[i] = {true, s.preferred, s.on_fault};
		ASSERT_TRUE(seen == m) << round;
		for (size_t i = 1; i < advised().size(); i++) {
			told a = advised()[i - 1], b = advised()[i];

			ASSERT_FALSE(std::get<1>(a) == std::get<0>(b) && std::get<2>(a) == std::get<2>(b) &&
				     std::get<3>(a) == std::get<3>(b))
				<< "two pieces that are alike, side by side";
		}
	}
	EXPECT_GT(failed, 20u);
	EXPECT_GT(refused, 20u);
}

TEST_F(advice_test, a_fault_moves_what_its_table_has)
{
	ASSERT_EQ(advise({device_memory(BASE, BASE + 20 * PAGE)}), 0);
	EXPECT_EQ(count().moved_in, 0u) << "advice moves nothing";
	EXPECT_EQ(fault(BASE + 3 * PAGE, SVM_WRITE), 0);
	EXPECT_EQ(count().moved_in, 20u);
	for (u64 i = 0; i < pages; i++)
		EXPECT_EQ(in_vram(BASE + i * PAGE), i < 20) << i;
	EXPECT_EQ(resident(BASE), (std::pair<u64, u64>{20, 20}));
	EXPECT_EQ(resident(BASE + 20 * PAGE), (std::pair<u64, u64>{20, 0}));

	u64 v = 0;

	EXPECT_EQ(device_write(BASE + 3 * PAGE, 33), 0);
	for (u64 i = 0; i < pages; i++) {
		EXPECT_EQ(proc->read(BASE + i * PAGE, &v), 0);
		EXPECT_EQ(v, i == 3 ? 33 : 1 + i);
	}
	EXPECT_EQ(resident(BASE), (std::pair<u64, u64>{0, 0}));
}

/* What is told to stay, or to be in system memory, does not move by faults, nor by what is told of its neighbours. */
TEST_F(advice_test, only_what_is_told_to_move_moves)
{
	ASSERT_EQ(advise({device_memory(BASE, BASE + 8 * PAGE), device_memory(BASE + 8 * PAGE, BASE + 16 * PAGE, SVM_ON_FAULT_STAY),
			  {BASE + 16 * PAGE, BASE + 24 * PAGE, SVM_PREFER_SYSTEM, SVM_ON_FAULT_MOVE}}),
		  0);
	for (u64 i : {10, 18, 30})
		EXPECT_EQ(fault(BASE + i * PAGE, SVM_WRITE), 0);
	EXPECT_EQ(count().moved_in, 0u);
	proc->migrate(BASE); /* the kernel's own: the device loses it */
	EXPECT_EQ(fault(BASE, SVM_WRITE), 0);
	for (u64 i = 0; i < pages; i++)
		if (device().look(BASE + i * PAGE).what == translation::outcome::mapped) {
			EXPECT_EQ(in_vram(BASE + i * PAGE), i < 8) << i;
		}
	/* A prefetch asks what is to be where, and not how a fault would do it. */
	u64 moved = 0;

	EXPECT_EQ(svm_migrate_advised(vm, BASE, END, &moved), 0);
	EXPECT_EQ(moved, 8u);
	EXPECT_EQ(fault(BASE + 8 * PAGE, SVM_READ), 0);
	EXPECT_TRUE(in_vram(BASE + 8 * PAGE));
	EXPECT_EQ(svm_migrate_advised(vm, BASE + 16 * PAGE, END, &moved), 0);
	EXPECT_EQ(moved, 0u);
}

/* CPU and device take pages from each other: in a slice of time faults move them once. */
TEST_F(advice_test, what_bounces_stays_for_a_slice)
{
	u64 v = 0;

	ASSERT_EQ(advise({device_memory()}), 0);
	EXPECT_EQ(fault(BASE, SVM_WRITE), 0);
	EXPECT_EQ(count().moved_in, pages);
	for (unsigned turn = 0; turn < 10; turn++) {
		EXPECT_EQ(proc->write(BASE, 100 + turn), 0);
		stopped_clock = 1000 + 5 * turn;
		EXPECT_EQ(device_read(BASE, &v), 0);
		EXPECT_EQ(v, 100 + turn);
		EXPECT_FALSE(in_vram(BASE));
	}
	EXPECT_EQ(count().moved_in, pages);
	/* Pages of another table have a slice of their own. */
	map(BASE + TABLE, PAGE);
	touch(BASE + TABLE, PAGE);
	ASSERT_EQ(advise({device_memory(BASE, BASE + 2 * TABLE)}), 0);
	EXPECT_EQ(fault(BASE + TABLE, SVM_WRITE), 0);
	EXPECT_EQ(count().moved_in, pages + 1);
	/* The device reaches it where it is, so it stays; the next fault after the slice moves it. */
	stopped_clock = 1100;
	EXPECT_EQ(fault(BASE, SVM_WRITE), 0);
	EXPECT_EQ(count().moved_in, pages + 1);
	EXPECT_EQ(proc->write(BASE + PAGE, 7), 0);
	EXPECT_EQ(fault(BASE + PAGE, SVM_WRITE), 0);
	EXPECT_EQ(count().moved_in, pages + 3);
	EXPECT_TRUE(in_vram(BASE + PAGE));
}

/* The slice begins when the move has ended: one that takes longer than a slice is not repeated at once. */
TEST_F(advice_test, a_slow_move)
{
	hook.announced = [](u64, u64) { stopped_clock += 100; };
	ASSERT_EQ(advise({device_memory()}), 0);
	EXPECT_EQ(fault(BASE, SVM_WRITE), 0);
	hook.announced = {};
	EXPECT_EQ(count().moved_in, pages);
	EXPECT_EQ(proc->write(BASE, 1), 0);
	EXPECT_EQ(fault(BASE, SVM_WRITE), 0);
	EXPECT_EQ(count().moved_in, pages);
	EXPECT_FALSE(in_vram(BASE));
}

/* Nor does a fault move twice, whatever spoils its attempts and however long they take. */
TEST_F(advice_test, a_fault_that_is_spoiled_moves_once)
{
	unsigned spoils = 3;

	ASSERT_EQ(advise({device_memory()}), 0);
	hook.fault_entry = [&](const auto &) {
		if (!spoils)
			return;
		stopped_clock += 100;
		EXPECT_EQ(proc->write(BASE + spoils-- * PAGE, 1), 0); /* comes home */
	};
	EXPECT_EQ(fault(BASE, SVM_WRITE), 0);
	hook.fault_entry = {};
	EXPECT_EQ(spoils, 0u);
	EXPECT_EQ(count().moved_in, pages);
}

TEST_F(advice_test, what_cannot_move_is_mapped_where_it_is)
{
	mem->vram_left = 10;
	ASSERT_EQ(advise({device_memory()}), 0);
	EXPECT_EQ(fault(BASE + 20 * PAGE, SVM_WRITE), 0);
	EXPECT_FALSE(in_vram(BASE + 20 * PAGE));
	EXPECT_TRUE(in_vram(BASE + 9 * PAGE));
	/* Where nothing is, the fault says so as ever. */
	EXPECT_EQ(fault(END, SVM_READ), -EFAULT);
	ASSERT_EQ(advise({device_memory(BASE, BASE + 2 * TABLE)}), 0);
	EXPECT_EQ(fault(BASE + TABLE, SVM_READ), -EFAULT);
	EXPECT_EQ(proc->mprotect(BASE, BASE + PAGE, PROT_R), 0);
	stopped_clock = 2000;
	EXPECT_EQ(fault(BASE, SVM_WRITE), -EPERM);
}

/* A step of the move finds no memory: the fault goes on without. */
TEST_F(advice_test, a_move_that_finds_no_memory)
{
	unsigned unmoved = 0;
	bool armed = true;

	ASSERT_EQ(advise({device_memory()}), 0);
	EXPECT_EQ(fault(BASE, SVM_READ), 0);
	for (u64 n = 1; armed; n++) { /* ends: a fault has so many steps */
		u64 moved;

		stopped_clock += 1000;
		EXPECT_EQ(svm_migrate(vm, BASE, END, SVM_SYSTEM, &moved), 0);
		moved = count().moved_in;
		inject.arm(n);
		int error = fault(BASE, SVM_WRITE);
		armed = !inject.armed();
		inject.arm(0);
		EXPECT_TRUE(error == 0 || error == -ENOMEM) << error;
		unmoved += !error && count().moved_in == moved;
		EXPECT_EQ(fault(BASE, SVM_WRITE), 0);
	}
	EXPECT_GE(unmoved, 1u);
}

/* Advice is of what is bound: it goes with it, and stays where the same is bound again. */
TEST_F(advice_test, a_bind_to_something_else_takes_it_away)
{
	std::vector<told> cut{{BASE, BASE + 8 * PAGE, SVM_PREFER_DEVICE, SVM_ON_FAULT_MOVE},
			      {BASE + 16 * PAGE, END, SVM_PREFER_DEVICE, SVM_ON_FAULT_MOVE}};

	for (const svm_bind_op &op : {null(BASE + 8 * PAGE, BASE + 16 * PAGE), hole(BASE + 8 * PAGE, BASE + 16 * PAGE),
				      mirror(BASE + 8 * PAGE, BASE + 16 * PAGE, 8 * PAGE)}) {
		ASSERT_EQ(svm_bind_all(vm), 0);
		ASSERT_EQ(advise({device_memory()}), 0);
		ASSERT_EQ(svm_bind_all(vm), 0);
		EXPECT_EQ(advised(), (std::vector<told>{{BASE, END, SVM_PREFER_DEVICE, SVM_ON_FAULT_MOVE}}));
		ASSERT_EQ(bind({op}), 0);
		EXPECT_EQ(advised(), cut);
		ASSERT_EQ(svm_bind_all(vm), 0);
		EXPECT_EQ(advised(), cut);
	}
	/* What the process does with its memory is no bind. */
	EXPECT_EQ(proc->munmap(BASE, END), 0);
	EXPECT_EQ(advised(), cut);
}

/* By another offset than 0, and with a part that is bound to something else in the same table. */
TEST_F(advice_test, at_an_offset)
{
	constexpr u64 AT = BASE + GiB;

	device().set_offset(GiB - 4 * PAGE);
	ASSERT_EQ(svm_bind(vm, AT, AT + 20 * PAGE, GiB - 4 * PAGE), 0);
	ASSERT_EQ(bind({null(AT + 6 * PAGE, AT + 8 * PAGE)}), 0);
	EXPECT_EQ(advise({device_memory(AT, AT + 20 * PAGE)}), -EINVAL);
	ASSERT_EQ(advise({device_memory(AT, AT + 6 * PAGE), device_memory(AT + 8 * PAGE, AT + 20 * PAGE)}), 0);
	EXPECT_EQ(fault(AT + 8 * PAGE, SVM_WRITE), 0);
	EXPECT_EQ(count().moved_in, 12u);
	EXPECT_TRUE(in_vram(AT + 8 * PAGE));
	EXPECT_EQ(fault(AT, SVM_WRITE), 0);
	EXPECT_FALSE(in_vram(AT)) << "a slice is of the table";

	u64 v = 0;

	EXPECT_EQ(device_read(AT + 8 * PAGE, &v), 0);
	EXPECT_EQ(v, 13u);
}

TEST_F(advice_test, bad_input)
{
	u64 device_end = 1ull << 48;

	for (const svm_advice &bad : std::initializer_list<svm_advice>{
		     {BASE + 1, END, SVM_PREFER_DEVICE, 0},
		     {BASE, END - 1, SVM_PREFER_DEVICE, 0},
		     {BASE, BASE, SVM_PREFER_DEVICE, 0},
		     {END, BASE, SVM_PREFER_DEVICE, 0},
		     {~0ull << 12, 0, SVM_PREFER_NONE, 0},
		     {BASE, END, SVM_PREFER_DEVICE + 1, 0},
		     {BASE, END, ~0u, 0},
		     {BASE, END, SVM_PREFER_DEVICE, SVM_ON_FAULT_STAY + 1},
		     {device_end - PAGE, device_end + PAGE, SVM_PREFER_NONE, 0},
		     {USER_END - PAGE, USER_END + PAGE, SVM_PREFER_SYSTEM, 0}, /* nothing is bound behind it */
	     }) {
		EXPECT_EQ(advise({bad}), -EINVAL);
		EXPECT_EQ(advise({device_memory(), bad}), -EINVAL);
		EXPECT_TRUE(advised().empty());
	}
	EXPECT_EQ(advise({none(0, device_end)}), 0) << "also where nothing is bound";
	EXPECT_EQ(advise({}), 0);
	ASSERT_EQ(advise({device_memory()}), 0);
	u64 moved = 1;
	EXPECT_EQ(svm_migrate_advised(vm, BASE + 1, END, &moved), -EINVAL);
	EXPECT_EQ(svm_unbind(vm, BASE, BASE + PAGE), 0);
	EXPECT_EQ(svm_migrate_advised(vm, BASE, END, &moved), -EINVAL);
	EXPECT_EQ(moved, 0u);
	current().killed = true;
	EXPECT_EQ(advise({none(0, device_end)}), -EINTR);
	current().killed = false;
	EXPECT_EQ(advised().size(), 1u);
}

/* Where the device has no memory, none can be preferred, and the rest is taken note of. */
TEST_F(advice_test, without_device_memory)
{
	destroy();
	format = "mlx5_odp";
	ASSERT_EQ(create(), 0);
	ASSERT_EQ(svm_bind_all(vm), 0);
	EXPECT_EQ(advise({device_memory()}), -EOPNOTSUPP);
	EXPECT_EQ(advise({{BASE, END, SVM_PREFER_SYSTEM, SVM_ON_FAULT_MOVE}}), 0);
	EXPECT_EQ(advised().size(), 1u);
	EXPECT_EQ(fault(BASE, SVM_WRITE), 0);
	EXPECT_EQ(resident(BASE), (std::pair<u64, u64>{pages, 0}));
}

/* More tables than are counted in one reader section, and holes between them. */
TEST_F(advice_test, counts_many_tables)
{
	constexpr u64 tables = 3 * 64 + 7;

	recreate(0, 12);
	map(BASE + GiB, 2 * tables * TABLE);
	for (u64 i = 0; i < tables; i++)
		ASSERT_EQ(fault(BASE + GiB + 2 * i * TABLE + i * PAGE, SVM_WRITE), 0);
	EXPECT_EQ(spans().at(0).pages, tables);
	ASSERT_EQ(advise({{BASE + GiB + TABLE, BASE + GiB + 5 * TABLE, SVM_PREFER_SYSTEM, SVM_ON_FAULT_MOVE}}), 0);
	EXPECT_EQ(resident(BASE + GiB + TABLE).first, 2u);
	EXPECT_EQ(resident(BASE + GiB + 5 * TABLE).first, tables - 3);
}

/* Advice, binds, faults and the CPU at once. */
TEST_F(advice_test, all_at_once)
{
	std::atomic<bool> stop{false};
	std::vector<std::thread> threads;

	for (unsigned t = 0; t < 2; t++)
		threads.emplace_back([&, t] {
			seeded r(t);

			while (!stop) {
				u64 first = below(r, pages), last = first + 1 + below(r, pages - first);
				svm_advice op{BASE + first * PAGE, BASE + last * PAGE, u32(below(r, 3)), u32(below(r, 2))};
				int got = svm_advise(vm, &op, 1);

				EXPECT_TRUE(got == 0 || got == -EINVAL) << got;
			}
		});
	threads.emplace_back([&] {
		while (!stop) {
			EXPECT_EQ(svm_unbind(vm, BASE + 8 * PAGE, BASE + 16 * PAGE), 0);
			EXPECT_EQ(svm_bind(vm, BASE + 8 * PAGE, BASE + 16 * PAGE, 0), 0);
		}
	});
	threads.emplace_back([&] {
		while (!stop)
			for (const svm_span &s : spans())
				EXPECT_LE(s.device_pages, (s.end - s.start) / PAGE);
	});
	/* Who gives advice may get no CPU for a while: until enough has moved by it. */
	for (unsigned i = 0; i < 2000 || (count().moved_in <= 100 && i < 1000000); i++) {
		u64 page = 16 + i % 24, v = 0;

		stopped_clock = 1000 + 10 * i;
		proc->migrate(BASE + page * PAGE); /* so that the device faults */
		EXPECT_EQ(device_read(BASE + page * PAGE, &v), 0);
		EXPECT_EQ(v, 1 + page);
		EXPECT_EQ(proc->read(BASE + page * PAGE, &v), 0);
		EXPECT_EQ(v, 1 + page);
	}
	stop = true;
	for (std::thread &t : threads)
		t.join();
	EXPECT_GT(count().moved_in, 100u);
}

} // namespace svm_test
