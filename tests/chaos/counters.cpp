// SPDX-License-Identifier: GPL-2.0-only
/*
 * Counters that the device and a CPU thread add to by compare-and-swap, and a
 * list that the device walks and rewrites, while another thread does to the same
 * pages what must not change them.
 */
#include "counters.hpp"

#include <cerrno>
#include <cstring>
#include <new>
#include <sys/mman.h>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>

#include <svmirror.hpp>

#include "work.hpp"

namespace chaos {

namespace {

constexpr std::size_t pages = 1024, counters = 16, nodes = 300;

struct node {
	std::uint64_t next, value;
};

struct field {
	std::byte *memory;
	std::uint64_t *counter[counters];
	std::uint64_t added[counters] = {};
	node *head = nullptr;
	node *each[nodes];
	std::uint64_t walked = 0; // what the device added to every node
};

// Counters at the ends of pages, nodes before them: many of both share a page, and none a word.
void lay_out(field &f, random &numbers)
{
	for (std::size_t i = 0; i < counters; i++)
		f.counter[i] = reinterpret_cast<std::uint64_t *>(f.memory + (1 + numbers.below(pages / counters - 1) +
									  i * (pages / counters)) * page_bytes - 8);
	std::size_t step = pages * page_bytes / nodes / sizeof(node) * sizeof(node);
	for (std::size_t i = 0; i < nodes; i++) {
		std::size_t offset = i * step;
		if (offset % page_bytes == page_bytes - sizeof(node))
			offset -= sizeof(node);
		f.each[i] = reinterpret_cast<node *>(f.memory + offset);
		f.each[i]->value = i;
		f.each[i]->next = svmirror::address(f.head);
		f.head = f.each[i];
	}
}

svmirror::job_result result_of(slot &out, unsigned thread, const svmirror::job &job)
{
	if (!job.done().wait(job_limit))
		out.fail_hung(thread, "a job", job_limit);
	svmirror::job_result result = job.result();
	if (result.status)
		out.fail(thread, "a job on memory that was there all the time ended with %s at %#llx",
			 strerrorname_np(-result.status), static_cast<unsigned long long>(result.va));
	return result;
}

void add_by_both(slot &out, field &f, svmirror::queue &queue, random &numbers)
{
	std::size_t which = numbers.below(counters);
	std::uint64_t by_device = 1 + numbers.below(200), by_cpu = 1 + numbers.below(400);
	out.note(0, "counter %zu: %llu by the device, %llu by the CPU", which, static_cast<unsigned long long>(by_device),
		 static_cast<unsigned long long>(by_cpu));
	svmirror::job job = queue.cas_add(*f.counter[which], by_device);
	for (std::uint64_t i = 0; i < by_cpu; i++)
		__atomic_fetch_add(f.counter[which], 1, __ATOMIC_RELAXED);
	result_of(out, 0, job);
	f.added[which] += by_device + by_cpu;
	std::uint64_t now = __atomic_load_n(f.counter[which], __ATOMIC_RELAXED);
	if (now != f.added[which])
		out.fail(0, "counter %zu at %p is %llu, %llu were added", which, static_cast<void *>(f.counter[which]),
			 static_cast<unsigned long long>(now), static_cast<unsigned long long>(f.added[which]));
	out.add(jobs);
	out.add(exact_results);
}

void walk(slot &out, field &f, svmirror::queue &queue, random &numbers)
{
	std::uint64_t addend = 1 + numbers.below(1000), result[2] = {}, sum = 0;
	out.note(1, "walk of %zu nodes, + %llu", nodes, static_cast<unsigned long long>(addend));
	result_of(out, 1, queue.list_walk(f.head, offsetof(node, next), offsetof(node, value), addend, nodes + 1, result));
	f.walked += addend;
	for (std::size_t i = 0; i < nodes; i++) {
		std::uint64_t value = *const_cast<volatile std::uint64_t *>(&f.each[i]->value);
		if (value != i + f.walked)
			out.fail(1, "node %zu at %p is %llu, not %llu", i, static_cast<void *>(f.each[i]),
				 static_cast<unsigned long long>(value), static_cast<unsigned long long>(i + f.walked));
		sum += value;
	}
	if (result[0] != nodes || result[1] != sum)
		out.fail(1, "the device met %llu nodes and summed %llu, not %zu and %llu", static_cast<unsigned long long>(result[0]),
			 static_cast<unsigned long long>(result[1]), nodes, static_cast<unsigned long long>(sum));
	out.add(jobs);
	out.add(exact_results);
}

void fork_and_scribble(slot &out, field &f)
{
	out.add(forks);
	pid_t child = fork();
	if (child < 0)
		out.fail(2, "fork: %s", strerror(errno));
	if (!child) {
		for (std::size_t i = 0; i < pages; i += 7)
			std::memset(f.memory + i * page_bytes, 0xbd, page_bytes);
		_exit(0);
	}
	int status = 0;
	while (waitpid(child, &status, 0) < 0 && errno == EINTR)
		;
	if (!WIFEXITED(status) || WEXITSTATUS(status))
		out.fail(2, "a child of fork ended with wait status %#x", status);
}

void stir(slot &out, field &f, svmirror::vm &vm, random &numbers)
{
	static constexpr struct {
		int number;
		const char *name;
	} advices[] = {{MADV_PAGEOUT, "pageout"}, {MADV_COLD, "cold"}, {MADV_MERGEABLE, "mergeable"}, {MADV_HUGEPAGE, "hugepage"},
		       {MADV_COLLAPSE, "collapse"}, {MADV_NOHUGEPAGE, "nohugepage"}, {MADV_UNMERGEABLE, "unmergeable"}};
	std::size_t first = numbers.below(pages), count = 1 + numbers.below(pages - first);
	std::size_t which = numbers.below(std::size(advices) + 4);
	auto pause = static_cast<unsigned>(numbers.below(3000));
	std::byte *at = f.memory + first * page_bytes;
	out.add(cpu_ops);
	if (which < std::size(advices)) {
		out.note(2, "madvise %s [%zu, %zu)", advices[which].name, first, first + count);
		if (madvise(at, count * page_bytes, advices[which].number))
			out.add(refused_ops);
	} else if (which == std::size(advices)) {
		out.note(2, "fork");
		fork_and_scribble(out, f);
	} else if (which == std::size(advices) + 1) {
		out.note(2, "prefetch [%zu, %zu)", first, first + count);
		vm.prefetch(std::span(at, count * page_bytes), pause % 2);
	} else if (which == std::size(advices) + 2) {
		out.note(2, "mlock and munlock [%zu, %zu)", first, first + std::min<std::size_t>(count, 64));
		if (mlock(at, std::min<std::size_t>(count, 64) * page_bytes) || munlock(at, std::min<std::size_t>(count, 64) * page_bytes))
			out.fail(2, "mlock: %s", strerror(errno));
	}
	usleep(pause);
}

} // namespace

void count_together(board &shared, slot &out, unsigned process, random numbers, unsigned rounds)
{
	svmirror::device device;
	svmirror::vm vm(device);
	vm.bind_all();
	svmirror::queue adders(vm), walkers(vm);
	field f;
	void *at = mmap(reinterpret_cast<void *>((32ull << 40) + (process * max_threads * 64ull << 30)), pages * page_bytes,
			PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
	if (at == MAP_FAILED)
		out.fail(0, "mmap: %s", strerror(errno));
	f.memory = static_cast<std::byte *>(at);
	lay_out(f, numbers);
	std::atomic<bool> done{false};
	std::thread walker([&, own = random(numbers.next(), 1)]() mutable {
		while (!done.load(std::memory_order_relaxed))
			walk(out, f, walkers, own);
		out.rest(1);
	});
	std::thread stirrer([&, own = random(numbers.next(), 2)]() mutable {
		while (!done.load(std::memory_order_relaxed))
			stir(out, f, vm, own);
		out.rest(2);
	});
	for (unsigned i = 0; i < rounds && (!i || !shared.stop.load(std::memory_order_relaxed)); i++) {
		add_by_both(out, f, adders, numbers);
		out.add(episodes);
	}
	done.store(true, std::memory_order_relaxed);
	walker.join();
	stirrer.join();
	out.rest(0);
	svmirror::counters counters = vm.counters();
	out.add(device_faults, counters.faults);
	out.add(device_retries, counters.retries);
	out.add(invalidations, counters.invalidations);
	out.add(leaves_zapped, counters.ptes_zapped + counters.huge_zapped);
}

} // namespace chaos
