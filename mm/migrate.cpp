// SPDX-License-Identifier: GPL-2.0-only
// Moving the process's pages into the device's memory and home.
//
// No table is touched here. The port has core mm take the CPU's entries of the pages away, which calls our notifiers
// like any other change, and the leaves go with them. Later faults find where the pages are by then. So a move needs
// nothing of the protocol in mirror.hpp, and where it fails half-way every page is where the CPU's entries say it is.
#include "mm/advice.hpp"
#include "mm/sweep.hpp"

namespace svm {

namespace {

struct migrating : table_sweep {
	bool into;    // the device's memory
	bool advised; // only what is told to be there

	migrating(svm_vm &v, va_span s, bool i, bool a) : table_sweep(v, s, false), into(i), advised(a) {}
};

// The CPU's side of what mirrors in the part and is to be moved, from `at` on, and where it ends for the device. Empty: nothing is
// bound there, or something that mirrors nothing, or it is told to be elsewhere.
cpu_span mirrored(migrating &m, u64 at, u64 end, u64 &behind)
{
	reader section(m.vm.domain());
	table_sweep::piece bound = m.at(at);

	behind = bound && bound.span.end < end ? bound.span.end : end;
	const binding *b = bound ? static_cast<const binding *>(bound.of) : nullptr;
	if (m.advised) {
		told t = told_at(m.vm, at);

		behind = t.end < behind ? t.end : behind;
		if (!t.device())
			return {};
	}
	return b && b->mirrors() ? b->to_cpu(va_span{ at, behind }) : cpu_span{};
}

int move(migrating &m, va_span part)
{
	for (u64 at = part.start, behind; at < part.end; at = behind) { // a piece on each turn
		cpu_span cpu = mirrored(m, at, part.end, behind);

		while (!cpu.empty()) { // each turn takes something off
			struct port_migrate step{ .start = cpu.start, .end = cpu.end, .into = m.into, .reached = 0, .moved = 0 };

			if (int why = m.stopped())
				return why;
			if (int failed = port_migrate(m.vm.domain(), &step))
				return failed;
			m.pages.fetch_add_relaxed(step.moved);
			cpu.start = step.reached;
		}
	}
	return 0;
}

void move_tables(void *arg)
{
	auto &m = static_cast<migrating &>(*static_cast<table_sweep *>(arg));

	while (!m.stopped()) { // a table on each turn
		va_span part = m.take();

		if (part.empty())
			return;
		if (int failed = move(m, part))
			m.stop(failed);
	}
}

int move_all(migrating &m, u64 &moved)
{
	int failed = m.run(move_tables);

	moved = m.pages.load_relaxed();
	m.vm.pt.stat.add(m.into ? stat::moved_in : stat::moved_home, moved);
	return failed;
}

} // namespace

int move_advised(svm_vm &vm, va_span span, u64 &moved)
{
	migrating m(vm, span, true, true);

	return move_all(m, moved);
}

} // namespace svm

extern "C" int svm_migrate(svm_vm *vm, u64 start, u64 end, svm_aperture to, u64 *pages)
{
	svm::va_span span{ start, end };
	svm::migrating m(*vm, span, to == SVM_VRAM, false);

	*pages = 0;
	if (vm->no_fault || span.empty() || !span.page_aligned() || (to != SVM_VRAM && to != SVM_SYSTEM) || !svm::is_bound(*vm, span))
		return static_cast<int>(svm::err::inval);
	if (!vm->memory) // all is at home
		return m.into ? static_cast<int>(svm::err::opnotsupp) : 0;
	svm::session process(vm->domain());
	if (!process.held().ok())
		return process.held().error();
	return svm::move_all(m, *pages);
}

extern "C" int svm_migrate_advised(svm_vm *vm, u64 start, u64 end, u64 *pages)
{
	svm::va_span span{ start, end };

	*pages = 0;
	if (vm->advised.empty())
		return 0;
	if (span.empty() || !span.page_aligned() || !svm::is_bound(*vm, span))
		return static_cast<int>(svm::err::inval);
	svm::session process(vm->domain());
	if (!process.held().ok())
		return process.held().error();
	return svm::move_advised(*vm, span, *pages);
}
