// SPDX-License-Identifier: GPL-2.0-only
/* What lies behind an area in its last table is bound to something else, again and again, while jobs use the area. */
#include "work.hpp"

#include <algorithm>

namespace chaos {

namespace {

constexpr std::size_t behind_pages = 64; // pages behind the area that are played with
constexpr const char *kind_names[] = {"nothing", "the process", "null"};

// For the device alone: the CPU has nothing there.
std::span<const std::byte> device_bytes(const drm_svm_bind_op &op)
{
	return {reinterpret_cast<const std::byte *>(op.start), page_bytes};
}

} // namespace

std::uint64_t worker::behind() const
{
	return area_->base() + area_->size() * page_bytes;
}

drm_svm_bind_op worker::draw_bind(std::size_t first, std::size_t count)
{
	drm_svm_bind_op op{};
	op.start = behind() + first * page_bytes;
	op.length = count * page_bytes;
	op.kind = static_cast<std::uint32_t>(numbers_.below(std::size(kind_names)));
	// half of the mirrors are a second view of the area's first pages
	if (op.kind == DRM_SVM_BIND_MIRROR && numbers_.percent(50))
		op.offset = static_cast<std::int64_t>(op.start - area_->base());
	return op;
}

void worker::rebind_behind()
{
	std::size_t middle = 1 + numbers_.below(behind_pages - 1), first = numbers_.below(middle), last = middle + numbers_.below(behind_pages - middle);
	std::vector<drm_svm_bind_op> ops{draw_bind(first, middle - first)};
	if (last > middle)
		ops.push_back(draw_bind(middle, last - middle));
	for (const drm_svm_bind_op &op : ops)
		me_.out.note(me_.thread, "bind %llu pages, %zu behind the area, to %s", static_cast<unsigned long long>(op.length / page_bytes),
			     static_cast<std::size_t>((op.start - behind()) / page_bytes), kind_names[op.kind]);
	vm_.bind_many(ops);
	me_.out.add(binds, ops.size());
	for (const drm_svm_bind_op &op : ops)
		look_at_bind(op);
}

void worker::look_at_bind(const drm_svm_bind_op &op)
{
	std::uint64_t &word = looked_at_[0];
	word = ~0ull;
	svmirror::job_result result =
		queues_[0].copy(std::as_writable_bytes(std::span(looked_at_)), device_bytes(op)).result(job_limit);
	if (op.kind == DRM_SVM_BIND_NULL && (result.status || std::ranges::any_of(looked_at_, [](auto w) { return w != 0; })))
		me_.out.fail(me_.thread, "null at %#llx reads %#llx, status %d", static_cast<unsigned long long>(op.start),
			     static_cast<unsigned long long>(word), result.status);
	if (op.kind == DRM_SVM_BIND_NOTHING && result.status != -EFAULT)
		me_.out.fail(me_.thread, "a hole at %#llx gives status %d", static_cast<unsigned long long>(op.start), result.status);
}

void worker::restore_behind()
{
	vm_.bind(behind(), behind_pages * page_bytes);
}

} // namespace chaos
