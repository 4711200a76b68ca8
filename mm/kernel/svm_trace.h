/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Tracepoints svmirror:svm_fault and svmirror:svm_invalidate. @vm names the vm's
 * domain in both, for filtering.
 */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM svmirror

#if !defined(SVM_TRACE_H) || defined(TRACE_HEADER_MULTI_READ)
#define SVM_TRACE_H

#include <linux/tracepoint.h>

/* One pass of port_fault(): what the CPU's side was asked, and what it said. */
TRACE_EVENT(svm_fault,
	    TP_PROTO(const void *vm, u64 cpu, bool write, bool block, u64 seq, int err),
	    TP_ARGS(vm, cpu, write, block, seq, err),

	    TP_STRUCT__entry(__field(const void *, vm)
			     __field(u64, cpu)
			     __field(u64, seq)
			     __field(int, err)
			     __field(bool, write)
			     __field(bool, block)),

	    TP_fast_assign(__entry->vm = vm;
			   __entry->cpu = cpu;
			   __entry->seq = seq;
			   __entry->err = err;
			   __entry->write = write;
			   __entry->block = block;),

	    TP_printk("vm=%p cpu=%llx %s%s seq=%llu err=%d", __entry->vm,
		      __entry->cpu, __entry->write ? "write" : "read",
		      __entry->block ? " block" : "", __entry->seq, __entry->err));

/* One notifier callback; event is enum mmu_notifier_event. */
TRACE_EVENT(svm_invalidate,
	    TP_PROTO(const void *vm, u64 start, u64 end, int event, u64 seq),
	    TP_ARGS(vm, start, end, event, seq),

	    TP_STRUCT__entry(__field(const void *, vm)
			     __field(u64, start)
			     __field(u64, end)
			     __field(u64, seq)
			     __field(int, event)),

	    TP_fast_assign(__entry->vm = vm;
			   __entry->start = start;
			   __entry->end = end;
			   __entry->seq = seq;
			   __entry->event = event;),

	    TP_printk("vm=%p cpu=%llx-%llx event=%d seq=%llu", __entry->vm,
		      __entry->start, __entry->end, __entry->event, __entry->seq));

#endif

#undef TRACE_INCLUDE_PATH
#define TRACE_INCLUDE_PATH .
#undef TRACE_INCLUDE_FILE
#define TRACE_INCLUDE_FILE svm_trace
#include <trace/define_trace.h>
