// SPDX-License-Identifier: GPL-2.0-only
/* mm/stops.hpp: vms whose device cannot fault. Their jobs run only while all that is bound is in the table. */
#include "svm/object.h"
#include "tests/host/buffer.hpp"
#include "tests/unit/bind_machine.hpp"

#include <random>

namespace svm_test
{

class stops_test : public bind_machine
{
protected:
	void SetUp() override
	{
		bind_machine::SetUp();
		destroy();
		make();
	}

	void TearDown() override
	{
		gpus->on_delay = nullptr;
		gpus->on_flush = nullptr;
		bind_machine::TearDown();
	}

	void make()
	{
		svm_vm_params p = params();

		p.flags = SVM_VM_NO_FAULT;
		ASSERT_EQ(svm_vm_create(&p, &vm), 0);
		device().set_root(svm_vm_root(vm)->addr, svm_vm_root(vm)->aperture == SVM_VRAM);
	}

	/* As a driver does it: again while the CPU's side moves. */
	int restore(const std::vector<svm_bind_op> &ops = {})
	{
		int err = -EAGAIN;

		for (int turn = 0; turn < 10000 && err == -EAGAIN; turn++) {
			err = svm_restore(vm, ops.data(), u32(ops.size()));
			std::this_thread::yield();
		}
		return err;
	}

	int restore_once()
	{
		return svm_restore(vm, nullptr, 0);
	}

	int bind_and_restore(const std::vector<svm_bind_op> &ops)
	{
		int err = bind(ops);

		return err ? err : restore(ops);
	}

	gpu::status look(u64 va, u64 *v = nullptr)
	{
		gpu::answer a = device().read(va);

		if (v)
			*v = a.value;
		return a.what;
	}
};

/* Without a fault the device has all of it, for writing too, and what is bound at an offset. */
TEST_F(stops_test, a_bind_brings_all_of_it)
{
	constexpr u64 offset = 16 * MiB + 3 * PAGE;
	u64 v = 0;

	map(BASE, 3 * MiB);
	touch(BASE, MiB);
	ASSERT_EQ(bind_and_restore({mirror(BASE + offset, BASE + offset + 3 * MiB, offset)}), 0);
	device().set_offset(offset);
	EXPECT_EQ(count().present, 3 * MiB / PAGE);
	EXPECT_EQ(look(BASE + offset + 5 * PAGE, &v), gpu::status::ok);
	EXPECT_EQ(v, 6u);
	EXPECT_EQ(device().write(BASE + offset + 2 * MiB, 77).what, gpu::status::ok);
	EXPECT_EQ(proc->read(BASE + 2 * MiB, &v), 0);
	EXPECT_EQ(v, 77u);
	EXPECT_EQ(count().faults, 0u);
	EXPECT_EQ(gpus->resumes, gpus->stops);
}

/* What the process may not write is brought for reading, and a write's error is the CPU's. */
TEST_F(stops_test, errors_of_accesses)
{
	map(BASE, MiB);
	touch(BASE, MiB);
	ASSERT_EQ(proc->mprotect(BASE, BASE + PAGE, PROT_R), 0);
	ASSERT_EQ(bind_and_restore({mirror(BASE, BASE + MiB)}), 0);
	EXPECT_EQ(look(BASE), gpu::status::ok);
	EXPECT_EQ(device().write(BASE, 1).what, gpu::status::fault);
	EXPECT_EQ(svm_fault(vm, BASE, SVM_WRITE), -EPERM);
	EXPECT_EQ(look(BASE + MiB), gpu::status::fault);
	EXPECT_EQ(svm_fault(vm, BASE + MiB, SVM_READ), -EFAULT);
	EXPECT_EQ(svm_fault(vm, BASE + MiB, SVM_WRITE), -EFAULT);
	EXPECT_EQ(count().present, MiB / PAGE); /* nothing was served */
}

TEST_F(stops_test, bad_input)
{
	svm_vm_params p = params();
	svm_backend_ops without = backend::ops;
	svm_object *o;
	svm_vm *other;
	u64 pages;

	p.flags = SVM_VM_EXCLUSIVE_ATOMICS << 1;
	EXPECT_EQ(svm_vm_create(&p, &other), -EINVAL);
	p.flags = SVM_VM_NO_FAULT;
	without.stop = nullptr;
	p.ops = &without;
	EXPECT_EQ(svm_vm_create(&p, &other), -EINVAL);

	map(BASE, MiB);
	map(BASE + 2 * MiB, MiB);
	/* A hole in the process's memory, and memory that it cannot read; nothing was done and nothing stopped. */
	EXPECT_EQ(bind({mirror(BASE, BASE + 3 * MiB)}), -EFAULT);
	EXPECT_EQ(svm_bind_all(vm), -EFAULT);
	ASSERT_EQ(proc->mprotect(BASE + PAGE, BASE + 2 * PAGE, PROT_N), 0);
	EXPECT_EQ(bind({mirror(BASE, BASE + MiB)}), -EFAULT);
	ASSERT_EQ(svm_object_create(MiB, nullptr, nullptr, &o), 0);
	EXPECT_EQ(bind({object(BASE, BASE + MiB, o, 0, SVM_BIND_ON_DEMAND)}), -EINVAL);
	svm_object_put(o);
	EXPECT_TRUE(bindings().empty());
	EXPECT_EQ(gpus->stops, 0u);
	ASSERT_EQ(bind_and_restore({mirror(BASE + 2 * MiB, BASE + 3 * MiB)}), 0);
	EXPECT_EQ(svm_prefetch(vm, BASE + 2 * MiB, BASE + 3 * MiB, SVM_READ, &pages), -EINVAL);
	destroy();
	ASSERT_EQ(create(), 0);
	EXPECT_EQ(svm_restore(vm, nullptr, 0), -EINVAL);
}

/* The jobs have stopped before the first leaf goes, and they go on when it is back. */
TEST_F(stops_test, an_invalidation_stops_the_jobs_first)
{
	bool stopped = false;
	u64 v = 0;

	map(BASE, MiB);
	touch(BASE, MiB);
	ASSERT_EQ(bind_and_restore({mirror(BASE, BASE + MiB)}), 0);
	u64 stops = gpus->stops;

	gpus->on_flush = [&](u64, u64) { stopped = look(BASE + 9 * PAGE) == gpu::status::stopped; };
	ASSERT_EQ(proc->dontneed(BASE, BASE + PAGE), 0);
	EXPECT_TRUE(stopped);
	EXPECT_EQ(gpus->stops, stops + 1);
	EXPECT_EQ(look(BASE + 9 * PAGE), gpu::status::stopped);
	/* A second one has nothing to stop. */
	ASSERT_EQ(proc->dontneed(BASE + PAGE, BASE + 2 * PAGE), 0);
	EXPECT_EQ(gpus->stops, stops + 1);
	EXPECT_EQ(restore(), 0);
	EXPECT_EQ(look(BASE, &v), gpu::status::ok);
	EXPECT_EQ(v, 0u);
	EXPECT_EQ(look(BASE + 9 * PAGE, &v), gpu::status::ok);
	EXPECT_EQ(v, 10u);
	EXPECT_EQ(count().stops, gpus->stops);
}

/* Changes of memory that is not bound concern nobody, be it in the same table and interval. */
TEST_F(stops_test, what_is_not_bound_stops_nothing)
{
	map(BASE, 2 * MiB);
	touch(BASE, 2 * MiB);
	ASSERT_EQ(bind_and_restore({mirror(BASE, BASE + MiB)}), 0);
	u64 stops = gpus->stops;

	ASSERT_EQ(proc->dontneed(BASE + MiB, BASE + 2 * MiB), 0);
	EXPECT_EQ(gpus->stops, stops);
	EXPECT_EQ(look(BASE), gpu::status::ok);
}

/* A second invalidation does not zap before the device has stopped, whoever has stopped it. */
TEST_F(stops_test, the_second_waits_for_the_stop_too)
{
	std::atomic<unsigned> flushed{0};

	map(BASE, 4 * MiB);
	touch(BASE, 4 * MiB);
	ASSERT_EQ(bind_and_restore({mirror(BASE, BASE + 4 * MiB)}), 0);
	gpus->on_flush = [&](u64, u64) { flushed++; };
	gpus->hold();

	std::thread one([&] { EXPECT_EQ(proc->dontneed(BASE, BASE + PAGE), 0); });
	std::thread two([&] { EXPECT_EQ(proc->dontneed(BASE + 2 * MiB, BASE + 2 * MiB + PAGE), 0); });

	EXPECT_TRUE(eventually([&] { return gpus->waiting() == 2; }));
	EXPECT_EQ(flushed, 0u); /* both wait for the stop */
	EXPECT_EQ(count().present, 4 * MiB / PAGE);
	gpus->release();
	one.join();
	two.join();
	gpus->on_flush = nullptr;
	EXPECT_EQ(restore(), 0);
}

/* A restore that found a leaf in place which a halt under way takes afterwards does not resume. */
TEST_F(stops_test, a_restore_amid_a_halt_does_not_resume)
{
	std::thread zapping;

	map(BASE, MiB);
	touch(BASE, MiB);
	ASSERT_EQ(bind_and_restore({mirror(BASE, BASE + MiB)}), 0);
	gpus->hold();
	zapping = std::thread([&] { EXPECT_EQ(proc->dontneed(BASE, BASE + PAGE), 0); });
	ASSERT_TRUE(eventually([&] { return gpus->waiting() == 1; }));
	/* The halt waits for the stop and has retired nothing: all is there. */
	u64 resumes = gpus->resumes;

	EXPECT_EQ(restore_once(), -EAGAIN);
	EXPECT_EQ(gpus->resumes, resumes);
	gpus->release();
	zapping.join();
	EXPECT_EQ(look(BASE), gpu::status::stopped);
	EXPECT_EQ(restore(), 0);
	EXPECT_EQ(look(BASE), gpu::status::ok);
}

/* A halt that came and went while a restore brought pages: it takes what the restore had brought. */
TEST_F(stops_test, a_halt_amid_a_restore_spoils_it)
{
	bool once = false;

	map(BASE, MiB);
	map(BASE + 2 * MiB, MiB);
	touch(BASE, MiB);
	touch(BASE + 2 * MiB, MiB);
	ASSERT_EQ(bind_and_restore({mirror(BASE, BASE + MiB), mirror(BASE + 2 * MiB, BASE + 3 * MiB)}), 0);
	ASSERT_EQ(proc->dontneed(BASE, BASE + PAGE), 0);
	ASSERT_EQ(proc->dontneed(BASE + 2 * MiB, BASE + 2 * MiB + PAGE), 0);
	hook.fault_entry = [&](const auto &f) {
		if (f.cpu < BASE + 2 * MiB || std::exchange(once, true))
			return;
		std::thread([&] { EXPECT_EQ(proc->dontneed(BASE, BASE + PAGE), 0); }).join();
	};
	EXPECT_EQ(restore(), 0);
	hook.fault_entry = nullptr;
	EXPECT_TRUE(once);
	EXPECT_EQ(look(BASE), gpu::status::ok); /* it went again */
}

/* Changes that come while a spoiled restore goes again wait for its end: by mmap_lock, or because they are put off. */
TEST_F(stops_test, a_restore_that_goes_again_is_left_alone)
{
	std::vector<std::thread> changes;
	std::atomic<unsigned> done{0};
	bool spoiled = false;

	map(BASE, 4 * MiB);
	touch(BASE, 4 * MiB);
	ASSERT_EQ(bind_and_restore({mirror(BASE, BASE + 4 * MiB)}), 0);
	ASSERT_EQ(proc->dontneed(BASE, BASE + PAGE), 0);
	hook.fault_entry = [&](const auto &f) {
		if (!std::exchange(spoiled, true)) {
			std::thread([&] { EXPECT_EQ(proc->dontneed(BASE + 2 * MiB, BASE + 2 * MiB + PAGE), 0); }).join();
		} else if (f.cpu >= BASE + 2 * MiB && changes.empty()) { /* it goes again */
			for (unsigned n = 0; n < 4; n++)
				changes.emplace_back([&, at = BASE + n * 16 * PAGE, protect = n % 2] {
					EXPECT_EQ(protect ? proc->mprotect(at, at + PAGE, PROT_R) : proc->dontneed(at, at + PAGE), 0);
					done++;
				});
			std::this_thread::sleep_for(std::chrono::milliseconds(5));
			EXPECT_EQ(done, 0u);
		}
	};
	u64 resumes = gpus->resumes;

	EXPECT_EQ(restore_once(), 0);
	EXPECT_EQ(gpus->resumes, resumes + 1);
	hook.fault_entry = nullptr;
	EXPECT_EQ(changes.size(), 4u);
	for (std::thread &t : changes)
		t.join();
	EXPECT_EQ(restore(), 0);
	EXPECT_EQ(look(BASE), gpu::status::ok);
}

/* What shares its sequence with a callback that was under way is not put off: the restore's faults would wait for its sleep. */
TEST_F(stops_test, what_comes_with_an_earlier_change_goes_on)
{
	std::vector<std::thread> changes;
	std::atomic<bool> begun{false}, flushing{false}, second{false};

	map(BASE, 4 * MiB);
	touch(BASE, 4 * MiB);
	ASSERT_EQ(bind_and_restore({mirror(BASE, BASE + 4 * MiB)}), 0);
	ASSERT_EQ(proc->dontneed(BASE, BASE + PAGE), 0);
	/* The first change is in its flush, and its sequence lasts, until the second one is through. */
	gpus->on_flush = [&](u64, u64) {
		if (begun && !flushing.exchange(true)) {
			EXPECT_TRUE(eventually([&] { return second.load(); }));
		}
	};
	hook.fault_entry = [&](const auto &) {
		if (begun.exchange(true))
			return;
		changes.emplace_back([&] { EXPECT_EQ(proc->dontneed(BASE + 2 * MiB, BASE + 2 * MiB + PAGE), 0); });
		EXPECT_TRUE(eventually([&] { return flushing.load(); }));
		changes.emplace_back([&, before = pauses.load()] {
			EXPECT_TRUE(eventually([&] { return pauses > before; })); /* the restore goes again, and waits for the first */
			EXPECT_EQ(proc->dontneed(BASE, BASE + PAGE), 0);
			second = true;
		});
	};
	EXPECT_EQ(restore_once(), 0); /* else it has given up, and the second went on then */
	hook.fault_entry = nullptr;
	for (std::thread &t : changes)
		t.join();
	gpus->on_flush = nullptr;
	EXPECT_EQ(restore(), 0);
	EXPECT_EQ(look(BASE + 2 * MiB), gpu::status::ok);
}

/* With mmap_lock held nothing is waited for: a page that needs it is brought in between. */
TEST_F(stops_test, a_restore_that_goes_again_lets_go_to_wait)
{
	bool spoiled = false;
	u64 slow = BASE + 2 * MiB;

	map(BASE, MiB);
	ASSERT_EQ(proc->mmap({.start = slow, .end = slow + 2 * MiB, .slow = true, .object = {}}), 0);
	touch(BASE, MiB);
	ASSERT_EQ(bind_and_restore({mirror(BASE, BASE + MiB), mirror(slow, slow + 2 * MiB)}), 0);
	ASSERT_EQ(proc->dontneed(BASE, BASE + PAGE), 0);
	hook.fault_entry = [&](const auto &) {
		if (!std::exchange(spoiled, true)) /* now there are pages in another table that have to be waited for */
			std::thread([&] {
				EXPECT_EQ(proc->dontneed(slow, slow + PAGE), 0);
				EXPECT_EQ(proc->dontneed(slow + 9 * PAGE, slow + 10 * PAGE), 0);
			}).join();
	};
	u64 resumes = gpus->resumes;

	EXPECT_EQ(restore_once(), 0);
	hook.fault_entry = nullptr;
	EXPECT_EQ(gpus->resumes, resumes + 1);
	EXPECT_EQ(look(slow), gpu::status::ok);
	EXPECT_EQ(look(slow + 9 * PAGE), gpu::status::ok);
}

/* Threads that change memory without a pause keep no restore from its end. */
TEST_F(stops_test, a_storm_without_a_pause)
{
	std::atomic<bool> stop{false};
	std::vector<std::thread> all;

	map(BASE, 4 * MiB);
	touch(BASE, 4 * MiB);
	ASSERT_EQ(bind_and_restore({mirror(BASE, BASE + 4 * MiB)}), 0);
	all.emplace_back([&] {
		while (!stop)
			EXPECT_EQ(proc->dontneed(BASE + 3 * PAGE, BASE + 7 * PAGE), 0);
	});
	all.emplace_back([&] {
		while (!stop) {
			EXPECT_EQ(proc->mprotect(BASE + 3 * MiB, BASE + 3 * MiB + PAGE, PROT_R), 0);
			EXPECT_EQ(proc->mprotect(BASE + 3 * MiB, BASE + 3 * MiB + PAGE, PROT_RW), 0);
		}
	});
	all.emplace_back([&] {
		while (!stop)
			(void)svm_restore(vm, nullptr, 0);
	});
	u64 resumes = gpus->resumes;

	EXPECT_TRUE(eventually([&] { return gpus->resumes > resumes + 100; }));
	stop = true;
	for (std::thread &t : all)
		t.join();
	EXPECT_EQ(restore(), 0);
	EXPECT_EQ(look(BASE + 3 * MiB), gpu::status::ok);
}

/* What the process has no more is left out; the rest goes on. */
TEST_F(stops_test, unmapped_memory_is_left_out)
{
	map(BASE, MiB);
	touch(BASE, MiB);
	ASSERT_EQ(bind_and_restore({mirror(BASE, BASE + MiB)}), 0);
	ASSERT_EQ(proc->munmap(BASE, BASE + PAGE), 0);
	EXPECT_EQ(restore(), 0);
	EXPECT_EQ(look(BASE + PAGE), gpu::status::ok);
	EXPECT_EQ(look(BASE), gpu::status::fault);
	EXPECT_EQ(svm_fault(vm, BASE, SVM_READ), -EFAULT);
}

/* A bind stops the jobs before it takes what was bound, and what it brings is there when they go on. */
TEST_F(stops_test, a_bind_over_another)
{
	bool stopped = false;
	u64 v = 1;

	map(BASE, 4 * MiB);
	touch(BASE, 4 * MiB);
	ASSERT_EQ(bind_and_restore({mirror(BASE, BASE + 4 * MiB)}), 0);
	gpus->on_flush = [&](u64, u64) { stopped = look(BASE + MiB) == gpu::status::stopped; };
	device().set_rule([](u64, u64) { return true; });
	ASSERT_EQ(bind_and_restore({null(BASE, BASE + PAGE), mirror(BASE + 2 * MiB, BASE + 3 * MiB, MiB)}), 0);
	gpus->on_flush = nullptr;
	EXPECT_TRUE(stopped);
	EXPECT_EQ(look(BASE, &v), gpu::status::ok);
	EXPECT_EQ(v, 0u);
	EXPECT_EQ(look(BASE + PAGE, &v), gpu::status::ok);
	EXPECT_EQ(v, 2u);
	EXPECT_EQ(look(BASE + 2 * MiB, &v), gpu::status::ok);
	EXPECT_EQ(v, MiB / PAGE + 1);
	EXPECT_EQ(look(BASE + 3 * MiB, &v), gpu::status::ok);
	EXPECT_EQ(v, 3 * MiB / PAGE + 1);
}

/* An object that goes stops the jobs, and they go on when it has a place again. */
TEST_F(stops_test, an_object_moves)
{
	u64 v = 0;
	buffer b(*mem, 1);

	device().set_rule([](u64, u64) { return true; });
	ASSERT_EQ(b.place(), 0);
	ASSERT_EQ(bind_and_restore({object(BASE, BASE + PAGE, b.object())}), 0);
	EXPECT_EQ(device().write(BASE, 5).what, gpu::status::ok);
	b.displace();
	EXPECT_EQ(look(BASE), gpu::status::stopped);
	EXPECT_EQ(restore_once(), -EAGAIN);
	EXPECT_EQ(look(BASE), gpu::status::stopped);
	ASSERT_EQ(b.place(), 0);
	EXPECT_EQ(restore(), 0);
	EXPECT_EQ(look(BASE, &v), gpu::status::ok);
	EXPECT_EQ(v, 5u);
	destroy();
}

/* The driver may put off what is about to stop the jobs; a fault of a restore does not wait for it. */
TEST_F(stops_test, what_is_put_off_holds_up_no_restore)
{
	std::atomic<bool> waits{false}, go{false};

	map(BASE, MiB);
	touch(BASE, MiB);
	ASSERT_EQ(bind_and_restore({mirror(BASE, BASE + MiB)}), 0);
	ASSERT_EQ(proc->dontneed(BASE, BASE + PAGE), 0);
	gpus->on_delay = [&] {
		waits = true;
		EXPECT_TRUE(eventually([&] { return go.load(); }));
	};

	std::thread zapping([&] { EXPECT_EQ(proc->dontneed(BASE, BASE + PAGE), 0); });

	EXPECT_TRUE(eventually([&] { return waits.load(); }));
	EXPECT_EQ(restore(), 0);
	EXPECT_EQ(look(BASE), gpu::status::ok);
	go = true;
	zapping.join();
	EXPECT_EQ(look(BASE), gpu::status::stopped);
}

/* More than there is table memory for: a restore does not take the vm's own tables for the rest of it, and says so soon. */
TEST_F(stops_test, memory_for_tables_does_not_do)
{
	map(BASE, 64 * MiB);
	for (u64 at = BASE; at < BASE + 64 * MiB; at += 2 * MiB)
		touch(at, PAGE);
	gpus->limit = 12;

	u64 stops = gpus->stops;

	EXPECT_EQ(bind_and_restore({mirror(BASE, BASE + 64 * MiB)}), -ENOMEM);
	EXPECT_LE(gpus->stops, stops + 1) << "for the bind";
	/* What does not fit is given up: then there is enough. */
	ASSERT_EQ(bind({{.start = BASE + 8 * MiB, .end = BASE + 64 * MiB, .offset = 0, .kind = SVM_BIND_NOTHING, .flags = 0, .object = nullptr}}), 0);
	EXPECT_EQ(restore(), 0);
	EXPECT_EQ(look(BASE + 6 * MiB), gpu::status::ok);
}

/* Jobs, a worker that restores, and everything that changes memory: no job ever misses what is bound. */
TEST_F(stops_test, storm)
{
	constexpr u64 size = 4 * MiB;
	std::atomic<bool> stop{false};
	std::atomic<u64> done{0}, misses{0};
	std::vector<std::thread> all;

	map(BASE, size);
	touch(BASE, size);
	ASSERT_EQ(bind_and_restore({mirror(BASE, BASE + size)}), 0);
	for (unsigned n = 0; n < 2; n++)
		all.emplace_back([&, n] {
			std::minstd_rand random(n + 1);

			while (!stop) {
				u64 va = BASE + random() % (size / PAGE) * PAGE;
				gpu::status s = random() % 2 ? device().write(va, 1).what : device().read(va).what;

				done += s == gpu::status::ok;
				misses += s == gpu::status::fault;
				if (s == gpu::status::stopped)
					std::this_thread::sleep_for(std::chrono::microseconds(100));
			}
		});
	all.emplace_back([&] {
		while (!stop)
			(void)svm_restore(vm, nullptr, 0);
	});
	for (unsigned n = 0; n < 2; n++)
		all.emplace_back([&, n] {
			std::minstd_rand random(n + 100);

			while (!stop) {
				u64 at = BASE + random() % (size / PAGE - 8) * PAGE, end = at + (1 + random() % 8) * PAGE;

				u64 before = gpus->resumes;

				EXPECT_EQ(proc->dontneed(at, end), 0);
				std::this_thread::sleep_for(std::chrono::milliseconds(1));
				/* On a busy machine a restore takes longer than that: now and then one has its time. */
				for (bool wait = random() % 2; wait && !stop && gpus->resumes == before;)
					std::this_thread::sleep_for(std::chrono::milliseconds(1));
			}
		});
	EXPECT_TRUE(eventually([&] { return gpus->resumes > 100 && done > 1000; }));
	stop = true;
	for (std::thread &t : all)
		t.join();
	EXPECT_EQ(misses, 0u);
}

} // namespace svm_test
