// SPDX-License-Identifier: GPL-2.0-only
/* A task has the memory cgroup of a user mode's fault that found it out of memory (cgroup v1). */
#include <linux/memcontrol.h>
#include <linux/sched.h>

struct mem_cgroup *svm_probe(struct task_struct *task);
struct mem_cgroup *svm_probe(struct task_struct *task)
{
	return task->memcg_in_oom;
}
