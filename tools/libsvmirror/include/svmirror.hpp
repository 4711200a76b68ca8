// SPDX-License-Identifier: MIT
/*
 * libsvmirror for C++20: owners that move and do not copy, spans instead of pointer
 * and length, std::system_error instead of a code.
 *
 *	svmirror::device gpu;
 *	svmirror::vm vm(gpu);
 *	vm.bind_all();
 *	svmirror::queue queue(vm);
 *	queue.saxpy(2.0f, x, y).wait();		// x, y: std::vector<float>
 *
 * What a job reads and writes must outlive it, as with any thread. An owner
 * holds a pointer to nothing but the device, which must outlive it; a queue must
 * end before its vm, or the vm stays until the device is closed.
 */
#ifndef SVMIRROR_HPP
#define SVMIRROR_HPP

#include <algorithm>
#include <array>
#include <atomic>
#include <bit>
#include <cerrno>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <ranges>
#include <span>
#include <system_error>
#include <utility>
#include <vector>

#include <svmirror.h>

namespace svmirror {

using counters = drm_svm_counters;
using device_info = drm_svm_device_info;
using fault_record = drm_svm_fault_record;
using gpu_info = drm_svgpu_device;
using job_result = drm_svgpu_job_result;
using bfs_node = svmirror_bfs_node;
using buffer_info = drm_svgpu_bo_info;

// A negative errno becomes an exception that says what was tried.
inline void check(int rc, const char *what)
{
	if (rc < 0)
		throw std::system_error(-rc, std::generic_category(), what);
}

inline std::uint64_t address(const void *pointer)
{
	return reinterpret_cast<std::uintptr_t>(pointer);
}

// What has its elements side by side: std::vector, std::array, std::span, std::string …
template <typename R>
concept memory = std::ranges::contiguous_range<R> && std::ranges::sized_range<R>;

// The pages that hold a range of objects: their first address, and how many bytes they are. An empty range has none.
struct pages {
	static constexpr std::uint64_t bytes = 4096;

	std::uint64_t start = 0, length = 0;

	explicit pages(const memory auto &of)
	{
		std::uint64_t first = address(std::ranges::data(of));
		std::uint64_t size = std::ranges::size(of) * sizeof(*std::ranges::data(of));
		if (!size)
			return;
		start = first & -bytes;
		length = (first + size - start + bytes - 1) & -bytes;
	}
};

class device {
public:
	device() : device(nullptr) {}
	explicit device(const char *path)
	{
		check(svmirror_open(path, &fd_), path ? path : "no render node of driver " SVMIRROR_DRIVER);
	}
	device(device &&other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
	device &operator=(device &&other) noexcept
	{
		std::swap(fd_, other.fd_);
		return *this;
	}
	~device()
	{
		if (fd_ >= 0)
			svmirror_close(fd_);
	}

	int fd() const { return fd_; }
	device_info info() const
	{
		device_info info;
		check(svmirror_device_info(fd_, &info), "query device");
		return info;
	}
	gpu_info gpu() const
	{
		gpu_info info;
		check(svmirror_gpu_info(fd_, &info), "query GPU");
		return info;
	}

private:
	int fd_ = -1;
};

// An id of the kernel's that dies with its owner.
template <int (*Destroy)(int, std::uint32_t)>
class handle {
public:
	handle() = default;
	handle(int fd, std::uint32_t id) : fd_(fd), id_(id) {}
	handle(handle &&other) noexcept : fd_(other.fd_), id_(std::exchange(other.id_, 0)) {}
	handle &operator=(handle &&other) noexcept
	{
		std::swap(fd_, other.fd_);
		std::swap(id_, other.id_);
		return *this;
	}
	~handle() { reset(); }

	int fd() const { return fd_; }
	std::uint32_t id() const { return id_; }
	// Ends it now and says how that went.
	int reset() { return id_ ? Destroy(fd_, std::exchange(id_, 0)) : 0; }

private:
	int fd_ = -1;
	std::uint32_t id_ = 0;
};

enum class place : std::uint32_t {
	nowhere = DRM_SVGPU_BO_NOWHERE,
	system = DRM_SVGPU_BO_SYSTEM,
	vram = DRM_SVGPU_BO_VRAM,
};

// A buffer as the CPU sees it. It outlives the buffer's handle.
class buffer_view {
public:
	buffer_view(int fd, std::uint32_t buffer)
	{
		void *at;
		std::size_t size;
		check(svmirror_buffer_map(fd, buffer, &at, &size), "map buffer");
		bytes_ = {static_cast<std::byte *>(at), size};
	}
	buffer_view(buffer_view &&other) noexcept : bytes_(std::exchange(other.bytes_, {})) {}
	buffer_view &operator=(buffer_view &&other) noexcept
	{
		std::swap(bytes_, other.bytes_);
		return *this;
	}
	~buffer_view()
	{
		if (!bytes_.empty())
			svmirror_buffer_unmap(bytes_.data(), bytes_.size());
	}

	std::span<std::byte> bytes() const { return bytes_; }

private:
	std::span<std::byte> bytes_;
};

// A buffer on its way to another file, device or process.
class dma_buf {
public:
	// Takes the descriptor over.
	explicit dma_buf(int fd) : fd_(fd) {}
	dma_buf(dma_buf &&other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
	dma_buf &operator=(dma_buf &&other) noexcept
	{
		std::swap(fd_, other.fd_);
		return *this;
	}
	~dma_buf()
	{
		if (fd_ >= 0)
			svmirror_close(fd_);
	}

	int fd() const { return fd_; }

private:
	int fd_ = -1;
};

// A handle of a buffer. What is bound, mapped or exported of the buffer keeps it, also when this owner is gone.
class buffer {
public:
	buffer(const device &dev, std::uint64_t size, place where)
	{
		std::uint32_t id = 0;
		check(svmirror_buffer_create(dev.fd(), size, static_cast<std::uint32_t>(where), &id), "create buffer");
		handle_ = {dev.fd(), id};
	}
	// Of a dma-buf. A device has one handle of a buffer at most, so the buffer must have no other owner with this device.
	buffer(const device &dev, const dma_buf &from)
	{
		std::uint32_t id = 0;
		check(svmirror_buffer_import(dev.fd(), from.fd(), &id), "import buffer");
		handle_ = {dev.fd(), id};
	}

	int fd() const { return handle_.fd(); }
	std::uint32_t id() const { return handle_.id(); }
	int close() { return handle_.reset(); }

	buffer_info info() const
	{
		buffer_info out;
		check(svmirror_buffer_info(fd(), id(), &out), "query buffer");
		return out;
	}
	std::uint64_t size() const { return info().size; }
	// Where it is now, which another moment may change.
	place where() const { return place{info().where}; }
	buffer_view map() const { return {fd(), id()}; }
	dma_buf share() const
	{
		int out;
		check(svmirror_buffer_export(fd(), id(), &out), "export buffer");
		return dma_buf(out);
	}

private:
	handle<svmirror_buffer_close> handle_;
};

class syncobj {
public:
	explicit syncobj(int fd)
	{
		std::uint32_t id = 0;
		check(svmirror_syncobj_create(fd, &id), "create syncobj");
		handle_ = {fd, id};
	}

	std::uint32_t id() const { return handle_.id(); }
	// False if the time is up.
	bool wait(std::chrono::nanoseconds timeout) const
	{
		int rc = svmirror_wait(handle_.fd(), handle_.id(), timeout.count());
		if (rc != -ETIME)
			check(rc, "wait for syncobj");
		return rc == 0;
	}
	// How what it tells of has ended: 0; -EAGAIN: it has not; else its error.
	int status() const { return svmirror_status(handle_.fd(), handle_.id()); }

private:
	handle<svmirror_syncobj_destroy> handle_;
};

class vm {
public:
	explicit vm(const device &dev, svmirror_vm_options options = {})
	{
		std::uint32_t id = 0;
		check(svmirror_vm_create(dev.fd(), &options, &id), "create vm");
		handle_ = {dev.fd(), id};
	}

	int fd() const { return handle_.fd(); }
	std::uint32_t id() const { return handle_.id(); }
	int destroy() { return handle_.reset(); }

	void bind_all() { check(svmirror_bind_all(fd(), id()), "bind all"); }
	void bind(std::uint64_t start, std::uint64_t length, std::int64_t offset = 0)
	{
		check(svmirror_bind(fd(), id(), start, length, offset), "bind");
	}
	// All of it atomically.
	void bind_many(std::span<const drm_svm_bind_op> ops)
	{
		check(svmirror_bind_many(fd(), id(), ops.data(), static_cast<std::uint32_t>(ops.size())), "bind");
	}
	// When those in @after have signalled; what is returned signals when it was done or has failed.
	syncobj bind_later(std::span<const drm_svm_bind_op> ops, std::span<const std::uint32_t> after = {})
	{
		syncobj done(fd());
		check(svmirror_bind_later(fd(), id(), ops.data(), static_cast<std::uint32_t>(ops.size()), after.data(),
					  static_cast<std::uint32_t>(after.size()), done.id()),
		      "bind later");
		return done;
	}
	void bind_null(std::uint64_t start, std::uint64_t length)
	{
		check(svmirror_bind_null(fd(), id(), start, length), "bind null");
	}
	// A part of a buffer, from @offset on.
	void bind(std::uint64_t start, std::uint64_t length, const buffer &what, std::uint64_t offset, std::uint32_t flags = 0)
	{
		check(svmirror_bind_buffer(fd(), id(), start, length, what.id(), offset, flags), "bind buffer");
	}
	// All of a buffer.
	void bind(std::uint64_t start, const buffer &what, std::uint32_t flags = 0)
	{
		bind(start, what.size(), what, 0, flags);
	}
	// What is bound now.
	std::vector<drm_svm_bind_op> bindings() const { return list<drm_svm_bind_op>(svmirror_bindings, "query bindings"); }
	// Mirrors the pages that hold the objects, at the same addresses: also what else lies in the first and the last page.
	void bind(const memory auto &objects)
	{
		svmirror::pages span(objects);
		check(span.length ? 0 : -EINVAL, "bind");
		bind(span.start, span.length);
	}
	void unbind(std::uint64_t start, std::uint64_t length)
	{
		check(svmirror_unbind(fd(), id(), start, length), "unbind");
	}
	// Leaves a hole where the pages that hold the objects are.
	void unbind(const memory auto &objects)
	{
		svmirror::pages span(objects);
		check(span.length ? 0 : -EINVAL, "unbind");
		unbind(span.start, span.length);
	}
	// Makes the pages that hold the objects present. Returns how many of these the device can reach; none for no objects.
	std::uint64_t prefetch(const memory auto &objects, bool write)
	{
		svmirror::pages span(objects);
		std::uint64_t reached = 0;
		if (span.length)
			check(svmirror_prefetch(fd(), id(), span.start, span.length, write ? DRM_SVM_PREFETCH_WRITE : 0,
						&reached),
			      "prefetch");
		return reached;
	}
	// Moves the pages that hold the objects, as far as they can, and makes them present. Returns how many moved.
	std::uint64_t migrate(const memory auto &objects, place to, bool write = true)
	{
		svmirror::pages span(objects);
		std::uint64_t moved = 0;
		std::uint32_t flags = to == place::vram ? DRM_SVM_PREFETCH_TO_DEVICE : DRM_SVM_PREFETCH_TO_SYSTEM;
		if (span.length)
			check(svmirror_migrate(fd(), id(), span.start, span.length, flags | (write ? DRM_SVM_PREFETCH_WRITE : 0), &moved),
			      "migrate");
		return moved;
	}
	// Says where the memory of the pages that hold the objects is to be (nowhere: wherever it is), and whether the device's
	// faults move it there. Nothing is told of no objects.
	void advise(const memory auto &objects, place preferred, bool move_on_fault = true)
	{
		svmirror::pages span(objects);
		std::uint32_t where = preferred == place::vram	 ? DRM_SVM_PREFER_DEVICE :
				      preferred == place::system ? DRM_SVM_PREFER_SYSTEM :
								   DRM_SVM_PREFER_NONE;
		if (span.length)
			check(svmirror_advise(fd(), id(), span.start, span.length, where,
					      move_on_fault ? DRM_SVM_ON_FAULT_MOVE : DRM_SVM_ON_FAULT_STAY),
			      "advise");
	}
	// Takes back all advice.
	void forget_advice() { check(svmirror_advise(fd(), id(), 0, 0, DRM_SVM_PREFER_NONE, DRM_SVM_ON_FAULT_MOVE), "forget advice"); }
	// What mirrors the process, by its advice, and how much of it the device reaches where.
	std::vector<drm_svm_span> spans() const { return list<drm_svm_span>(svmirror_spans, "query spans"); }
	svmirror::counters counters() const
	{
		svmirror::counters out;
		check(svmirror_counters(fd(), id(), &out), "query counters");
		return out;
	}
	// Takes out what the log holds.
	std::vector<fault_record> fault_log()
	{
		std::vector<fault_record> all;
		std::array<fault_record, 64> some;
		std::size_t count;
		do {
			check(svmirror_fault_log(fd(), id(), some.data(), some.size(), &count), "query fault log");
			all.insert(all.end(), some.begin(), some.begin() + static_cast<std::ptrdiff_t>(count));
		} while (count == some.size());
		return all;
	}

private:
	// All records of an array's query.
	template <typename Record>
	std::vector<Record> list(int (*query)(int, std::uint32_t, Record *, std::size_t, std::size_t *), const char *what) const
	{
		std::vector<Record> all(64);
		std::size_t count;
		for (;; all.resize(2 * all.size())) {
			check(query(fd(), id(), all.data(), all.size(), &count), what);
			if (count < all.size())
				break;
		}
		all.resize(count);
		return all;
	}

	handle<svmirror_vm_destroy> handle_;
};

// A job that was submitted. Dropping it does not end the job.
class job {
public:
	job(int fd, std::uint32_t queue, std::uint64_t token, syncobj done)
		: fd_(fd), queue_(queue), token_(token), done_(std::move(done))
	{
	}

	const syncobj &done() const { return done_; }
	// How it ended. Throws if that takes longer, and also if its result was taken before.
	job_result result(std::chrono::nanoseconds timeout = std::chrono::nanoseconds::max()) const
	{
		if (!done_.wait(timeout))
			throw std::system_error(ETIME, std::generic_category(), "wait for job");
		job_result out;
		check(svmirror_job_result(fd_, queue_, token_, &out), "query job");
		return out;
	}
	// As result(), and a job that failed throws what it failed with.
	job_result wait(std::chrono::nanoseconds timeout = std::chrono::nanoseconds::max()) const
	{
		job_result out = result(timeout);
		check(out.status, "job");
		return out;
	}

private:
	int fd_;
	std::uint32_t queue_;
	std::uint64_t token_;
	syncobj done_;
};

class queue {
public:
	using arguments = std::array<std::uint64_t, DRM_SVGPU_ARGS>;

	explicit queue(const vm &space)
	{
		std::uint32_t id = 0;
		check(svmirror_queue_create(space.fd(), space.id(), &id), "create queue");
		handle_ = {space.fd(), id};
	}

	int fd() const { return handle_.fd(); }
	std::uint32_t id() const { return handle_.id(); }
	int destroy() { return handle_.reset(); }

	// Any kernel, with device addresses; it starts after those in @after have ended.
	job submit(svmirror_kernel kernel, const arguments &args, std::span<const std::uint32_t> after = {})
	{
		static constinit std::atomic<std::uint64_t> last_token{0};
		syncobj done(fd());
		svmirror_job what{};
		what.queue = id();
		what.kernel = kernel;
		what.in_syncobjs = after.data();
		what.in_count = static_cast<std::uint32_t>(after.size());
		what.out_syncobj = done.id();
		std::copy(args.begin(), args.end(), what.args);
		what.token = last_token.fetch_add(1, std::memory_order_relaxed) + 1;
		check(svmirror_submit(fd(), &what), "submit");
		return {fd(), id(), what.token, std::move(done)};
	}

	job fill(std::span<std::byte> to, std::byte value)
	{
		return submit(SVMIRROR_FILL, {address(to.data()), to.size(), std::to_integer<std::uint64_t>(value)});
	}
	// As many bytes as the shorter has.
	job copy(std::span<std::byte> to, std::span<const std::byte> from)
	{
		return submit(SVMIRROR_COPY,
			      {address(to.data()), address(from.data()), std::min(to.size(), from.size())});
	}
	// Adds to the bins.
	job histogram(std::span<const std::byte> of, std::span<std::uint64_t, 256> bins)
	{
		return submit(SVMIRROR_HISTOGRAM, {address(of.data()), of.size(), address(bins.data())});
	}
	job sum(std::span<const std::uint64_t> of, std::uint64_t &result)
	{
		return submit(SVMIRROR_SUM, {address(of.data()), of.size(), address(&result)});
	}
	// y = a * x + y, over as many elements as the shorter has.
	job saxpy(float a, std::span<const float> x, std::span<float> y)
	{
		return submit(SVMIRROR_SAXPY, {address(x.data()), address(y.data()), std::min(x.size(), y.size()),
					       std::bit_cast<std::uint32_t>(a)});
	}
	// Adds to the value of each node; result: nodes met, sum of the new values.
	job list_walk(void *head, std::size_t next_offset, std::size_t value_offset, std::uint64_t addend,
		      std::uint64_t limit, std::span<std::uint64_t, 2> result)
	{
		return submit(SVMIRROR_LIST_WALK, {address(head), next_offset, value_offset, addend, limit,
						   address(result.data())});
	}
	job bfs(bfs_node &root, std::uint64_t &visited, std::span<std::uint64_t> scratch)
	{
		return submit(SVMIRROR_BFS,
			      {address(&root), address(&visited), address(scratch.data()), scratch.size()});
	}
	job cas_add(std::uint64_t &counter, std::uint64_t times)
	{
		return submit(SVMIRROR_CAS_ADD, {address(&counter), times});
	}
	job touch(std::span<const std::byte> memory, std::size_t stride, bool write)
	{
		return submit(SVMIRROR_TOUCH, {address(memory.data()), memory.size(), stride, write});
	}

private:
	handle<svmirror_queue_destroy> handle_;
};

} // namespace svmirror

#endif
