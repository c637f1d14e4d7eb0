// SPDX-License-Identifier: BSD-2-Clause
/* Sleeping locks, wait queues, and kicking the threads that run vCPUs. */
#include <linux/mutex.h>
#include <linux/rcupdate.h>
#include <linux/sched.h>
#include <linux/sched/signal.h>
#include <linux/wait.h>
#include "os/os.h"

void os_mutex_lock(struct os_mutex *mutex)
{
	mutex_lock(&mutex->mutex);
}

int os_mutex_lock_killable(struct os_mutex *mutex)
{
	return mutex_lock_killable(&mutex->mutex);
}

void os_wake(struct os_waitq *wq)
{
	wake_up_all(&wq->head);
}

/*
 * kick_process() sends a reschedule IPI if the task is running on another CPU; the
 * interrupt causes an exit.
 */
void os_thread_kick(struct os_thread *thread)
{
	struct task_struct *task;

	rcu_read_lock();
	task = READ_ONCE(thread->task);
	if (task)
		kick_process(task);
	rcu_read_unlock();
}
