// SPDX-License-Identifier: BSD-2-Clause
/* The simulated host itself: what other tests take for granted. */
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "os/os.h"
#include "os/user/os_user.h"
#include "unit.h"

struct note {
	struct os_timer timer;
	uint64_t ran_at;
	uint64_t again; /* start again this much later, once */
	int runs;
};

static void note_expired(struct os_timer *timer)
{
	struct note *note = container_of(timer, struct note, timer);

	note->ran_at = os_now_ns();
	note->runs++;
	if (note->again) {
		os_timer_start(timer, os_now_ns() + note->again);
		note->again = 0;
	}
}

TEST(timers_run_in_order_at_their_instants)
{
	struct note late = { 0 }, early = { 0 };
	uint64_t start = os_now_ns();

	os_timer_init(&late.timer, note_expired);
	os_timer_init(&early.timer, note_expired);
	os_timer_start(&late.timer, start + 300);
	os_timer_start(&early.timer, start + 100);
	early.again = 50;
	CHECK_EQ(os_user_clock_next(), start + 100);
	os_user_clock_advance(99);
	CHECK_EQ(early.runs, 0);
	os_user_clock_advance(1);
	CHECK_EQ(early.ran_at, start + 100);
	os_user_clock_advance(1000);
	CHECK_EQ(early.ran_at, start + 150);
	CHECK_EQ(early.runs, 2);
	CHECK_EQ(late.ran_at, start + 300);
	CHECK_EQ(os_now_ns(), start + 1100);
	CHECK_EQ(os_user_timers(), 0);
}

TEST(started_again_moves_and_cancel_stops)
{
	struct note note = { 0 };
	uint64_t start = os_now_ns();

	os_timer_init(&note.timer, note_expired);
	os_timer_start(&note.timer, start + 100);
	os_timer_start(&note.timer, start + 200);
	os_user_clock_advance(150);
	CHECK_EQ(note.runs, 0);
	os_timer_cancel(&note.timer);
	os_user_clock_advance(1000);
	CHECK_EQ(note.runs, 0);
	CHECK(os_timer_try_cancel(&note.timer));
}

TEST(tsc_and_wall_follow_the_clock)
{
	uint64_t tsc = os_rdtsc();
	int64_t wall = os_wall_seconds();

	os_user_clock_advance(3000000000);
	CHECK_EQ(os_rdtsc() - tsc, 3000ull * os_tsc_khz());
	CHECK_EQ(os_wall_seconds() - wall, 3);
	os_user_set_wall(5);
	CHECK_EQ(os_wall_seconds(), 5);
}

TEST(the_chosen_allocation_fails)
{
	struct os_account *account;
	void *first, *third;

	os_user_fail_alloc(2);
	first = os_alloc(10);
	CHECK(first);
	CHECK(!os_page_alloc());
	third = os_page_alloc();
	CHECK(third);
	CHECK_EQ(os_user_alloc_outstanding(), 2);
	os_page_free(third);
	os_free(first);
	CHECK_EQ(os_user_alloc_outstanding(), 0);
	CHECK_EQ(os_user_alloc_bytes(), 0);
	os_user_fragment_memory(true);
	CHECK_EQ(os_account_open(&account), 0);
	CHECK(!os_ram_alloc(account, 9));
	os_account_close(account);
}

TEST(accounts_limit_what_they_allow)
{
	struct os_account *account, *second;
	void *page;

	os_user_limits(OS_PAGE_SIZE, 1);
	CHECK_EQ(os_account_open(&account), 0);
	CHECK_EQ(os_account_open(&second), -EAGAIN);
	CHECK(os_account_allows(account, OS_PAGE_SIZE));
	CHECK(!os_account_allows(account, OS_PAGE_SIZE + 1));
	page = os_ram_alloc(account, 0);
	CHECK(page);
	CHECK(!os_ram_alloc(account, 0));
	os_ram_free(account, page, 0);
	CHECK(os_account_allows(account, OS_PAGE_SIZE));
	os_account_close(account);
	CHECK_EQ(os_account_open(&account), 0);
	os_account_close(account);
}

TEST(wild_pointers_are_efault)
{
	char buffer[8] = "1234567";

	CHECK_EQ(os_copyin((void *)16, buffer, 4), -EFAULT);
	CHECK_EQ(os_copyout(buffer, (void *)16, 4), -EFAULT);
	CHECK_EQ(os_copyin("abc", buffer, 4), 0);
	CHECK_STR(buffer, "abc");
	CHECK_EQ(os_copyin(NULL, buffer, 0), 0);
}

static struct os_waitq queue;
static bool flag;

static void *waiter(void *result)
{
	*(int *)result = os_wait_event(&queue, __atomic_load_n(&flag, __ATOMIC_SEQ_CST));
	return NULL;
}

TEST(wake_and_signal_end_a_wait)
{
	pthread_t thread;
	int result = 1;

	os_waitq_init(&queue);
	REQUIRE(pthread_create(&thread, NULL, waiter, &result) == 0);
	usleep(1000);
	__atomic_store_n(&flag, true, __ATOMIC_SEQ_CST);
	os_wake(&queue);
	pthread_join(thread, NULL);
	CHECK_EQ(result, 0);

	flag = false;
	REQUIRE(pthread_create(&thread, NULL, waiter, &result) == 0);
	os_user_set_signal(OS_USER_SIGNAL_PENDING);
	pthread_join(thread, NULL);
	CHECK_EQ(result, -EINTR);
	CHECK(os_signal_pending());
}

TEST(idle_jumps_to_the_next_timer)
{
	struct note note = { 0 };
	uint64_t start = os_now_ns();

	os_waitq_init(&queue);
	os_timer_init(&note.timer, note_expired);
	os_timer_start(&note.timer, start + 12345);
	os_user_idle_advances(true);
	CHECK_EQ(os_wait_event(&queue, note.runs == 1), 0);
	CHECK_EQ(os_now_ns(), start + 12345);
	CHECK_EQ(os_wait_event(&queue, note.runs == 2), -EINTR);
}

static int count_cpu(void *mask)
{
	*(uint32_t *)mask |= 1u << os_cpu_id();
	os_wrmsr(0x1234, os_cpu_id());
	return os_cpu_id() == 2 ? -EBUSY : 0;
}

TEST(each_cpu_has_registers_of_its_own)
{
	uint32_t mask = 0;
	uint64_t value;

	os_user_set_cpus(4);
	CHECK_EQ(os_each_cpu(count_cpu, &mask), -EBUSY);
	CHECK_EQ(mask, 0xf);
	os_user_move_to_cpu(3);
	CHECK_EQ(os_rdmsr(0x1234), 3);
	CHECK_EQ(os_rdmsr_safe(0x9999, &value), -EIO);
}

TEST(inner_loop_is_left_when_asked)
{
	os_user_leave_after(2);
	os_run_begin();
	CHECK(!os_run_should_leave());
	CHECK(os_run_should_leave());
	CHECK(os_run_should_leave());
	os_run_end();
	CHECK(!os_run_should_leave());
}

/* Whether 'action' aborts, in a child. */
static bool aborts(void (*action)(void))
{
	int status = 0;
	pid_t pid = fork();

	if (pid == 0) {
		fclose(stderr);
		action();
		_exit(0);
	}
	REQUIRE(waitpid(pid, &status, 0) == pid);
	return WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT;
}

static void allocate_in_inner_loop(void)
{
	os_run_begin();
	os_free(os_alloc(1));
	os_run_end();
}

static void sleep_under_spinlock(void)
{
	struct os_spinlock lock;
	struct os_mutex mutex;

	os_spin_init(&lock);
	os_mutex_init(&mutex);
	(void)os_spin_lock(&lock);
	os_mutex_lock(&mutex);
}

static void lock_twice(void)
{
	struct os_spinlock lock;

	os_spin_init(&lock);
	(void)os_spin_lock(&lock);
	(void)os_spin_lock(&lock);
}

static void sleep_in_timer(struct os_timer *timer)
{
	(void)timer;
	os_free(os_alloc(1));
}

static void timer_that_sleeps(void)
{
	struct os_timer timer;

	os_timer_init(&timer, sleep_in_timer);
	os_timer_start(&timer, os_now_ns());
	os_user_clock_advance(1);
}

TEST(broken_rules_abort)
{
	CHECK(aborts(allocate_in_inner_loop));
	CHECK(aborts(sleep_under_spinlock));
	CHECK(aborts(lock_twice));
	CHECK(aborts(timer_that_sleeps));
}
