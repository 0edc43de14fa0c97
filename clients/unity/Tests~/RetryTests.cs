using System;
using System.Collections.Generic;
using System.Linq;
using System.Threading.Tasks;

namespace GameApi.Tests
{
    internal static class RetryTests
    {
        private static readonly string Ok = ScriptedServer.Reply("200 OK", "{\"status\":\"ok\",\"version\":\"1\",\"commit\":\"c\"}");

        private static readonly Func<GameApiClient, Task>[] Posts =
        {
            client => client.CreatePlayerAsync(new PlayerCreate("ada")),
            client => client.CreateSessionAsync(new SessionCreate("s", "duel", 2)),
            client => client.JoinSessionAsPartyAsync("s", new PartyJoin("ada")),
        };

        private static readonly string Empty = ScriptedServer.Reply("204 No Content", string.Empty);

        public static async Task Passing_failures_are_repeated_with_growing_waits()
        {
            string[] replies =
            {
                ScriptedServer.Problem("503 Unavailable", "database_unavailable"), ScriptedServer.Drop,
                ScriptedServer.Reply("502 Bad Gateway", "<html>"), Ok,
            };
            using (var server = new ScriptedServer(replies))
            {
                Check.Equal("ok", (await server.Client().GetHealthAsync()).Status);
                List<TimeSpan> waits = server.Wire.Delays;
                Check.Equal(3, waits.Count);
                for (int index = 0; index < 3; index++)
                {
                    var longest = TimeSpan.FromMilliseconds(200 << index);
                    var shortest = TimeSpan.FromMilliseconds(100 << index);
                    Check.True(waits[index] >= shortest && waits[index] <= longest, "wait " + waits[index]);
                }
            }
        }

        public static async Task Every_status_that_passes_is_repeated_and_no_other()
        {
            foreach (int status in new[] { 429, 502, 503, 504, 400, 404, 408, 409, 412, 422, 500, 501 })
            {
                bool passes = status == 429 || (status > 501 && status < 505);
                using (var server = new ScriptedServer(ScriptedServer.Problem(status + " Status", "code"), Ok))
                {
                    if (passes)
                    {
                        await server.Client().GetHealthAsync();
                    }
                    else
                    {
                        await Check.Fails("code", () => server.Client().GetHealthAsync());
                    }
                    Check.Equal(passes ? 2 : 1, server.Received.Count, "requests after " + status);
                }
            }
        }

        public static async Task Put_and_delete_are_repeated_with_the_same_headers_and_body()
        {
            using (var server = new ScriptedServer(ScriptedServer.Drop, Empty))
            {
                await server.Client().LeaveSessionAsync("s", "p");
                Check.Equal(2, server.Received.Count);
            }
            using (var server = new ScriptedServer(ScriptedServer.Drop, ScriptedServer.Problem("409 Conflict", "session_full")))
            {
                var join = new SessionJoin { Team = "red" };
                GameApiException error = await Check.Fails(
                    ErrorCodes.SessionFull, () => server.Client().JoinSessionAsync("s", "p", join));
                Check.Equal(2, server.Received.Count(request => request.EndsWith("{\"team\":\"red\"}")));
                Check.Equal(true, error.OutcomeUnknown);
            }
        }

        public static async Task A_post_is_repeated_with_the_same_key_and_body()
        {
            string busy = ScriptedServer.Problem("503 Unavailable", "database_unavailable");
            foreach (Func<GameApiClient, Task> call in Posts)
            {
                using (var server = new ScriptedServer(ScriptedServer.Drop, busy, ScriptedServer.Problem("404 Not Found", "not_found")))
                {
                    GameApiException error = await Check.Fails(ErrorCodes.NotFound, () => call(server.Client()));
                    Check.Equal(3, server.Received.Count);
                    Check.Equal(1, server.Received.Distinct().Count(), "different requests");
                    // The service would have answered with the success of an earlier attempt.
                    Check.Equal(false, error.OutcomeUnknown);
                }
                using (var server = new ScriptedServer(ScriptedServer.Drop, ScriptedServer.Problem("403 Forbidden", "forbidden")))
                {
                    GameApiException error = await Check.Fails(ErrorCodes.Forbidden, () => call(server.Client()));
                    Check.Equal(true, error.OutcomeUnknown);
                }
            }
        }

        public static async Task What_would_contradict_itself_is_repeated_only_if_it_was_not_begun()
        {
            string busy = ScriptedServer.Problem("503 Unavailable", "database_unavailable");
            foreach (Func<GameApiClient, Task> call in new Func<GameApiClient, Task>[]
            {
                client => client.UpdateMemberAsync("s", "ada", new MemberUpdate { Ready = true }),
                client => client.UpdatePlayerAsync("ada", new PlayerUpdate { Rating = 1 }, 7),
                client => client.UpdateSessionAsync("s", new SessionUpdate { Name = "duel" }, 7),
                client => client.JoinSessionAsync("s", "ada", null, 7),
                client => client.LeaveSessionAsync("s", "ada", 7),
                client => client.DeletePlayerAsync("ada", 7),
            })
            {
                foreach (string reply in new[] { ScriptedServer.Drop, busy })
                {
                    using (var server = new ScriptedServer(reply, Empty))
                    {
                        var error = await Check.Throws<GameApiException>(() => call(server.Client()));
                        Check.Equal(1, server.Wire.Requests.Count);
                        Check.Equal(true, error.OutcomeUnknown);
                    }
                }
                string limited = ScriptedServer.Problem("429 Too Many", "rate_limited");
                using (var server = new ScriptedServer(limited, ScriptedServer.Problem("404 Not Found", "not_found")))
                {
                    GameApiException error = await Check.Fails(ErrorCodes.NotFound, () => call(server.Client()));
                    Check.Equal(2, server.Received.Count);
                    Check.Equal(false, error.OutcomeUnknown);
                }
            }
        }

        public static async Task A_request_in_progress_is_waited_for()
        {
            string inProgress = ScriptedServer.Problem("409 Conflict", "request_in_progress", "Retry-After: 2");
            foreach (Func<GameApiClient, Task> call in Posts)
            {
                using (var server = new ScriptedServer(inProgress, ScriptedServer.Problem("409 Conflict", "session_full")))
                {
                    await Check.Fails(ErrorCodes.SessionFull, () => call(server.Client()));
                    double wait = server.Wire.Delays.Single().TotalSeconds;
                    Check.True(wait >= 2 && wait < 2.25, "waits 2 seconds and a bit, not " + wait);
                }
                using (var server = new ScriptedServer(ScriptedServer.Drop, inProgress, inProgress, inProgress))
                {
                    GameApiException error = await Check.Fails(ErrorCodes.RequestInProgress, () => call(server.Client()));
                    Check.Equal(true, error.OutcomeUnknown);
                }
            }
        }

        public static async Task A_repeated_deletion_that_finds_no_player_has_succeeded()
        {
            string gone = ScriptedServer.Problem("404 Not Found", "player_not_found");
            using (var server = new ScriptedServer(ScriptedServer.Drop, gone))
            {
                await server.Client().DeletePlayerAsync("ada");
                Check.Equal(2, server.Received.Count);
            }
            foreach (string[] replies in new[] { new[] { gone }, new[] { ScriptedServer.Problem("429 Too Many", "rate_limited"), gone } })
            {
                using (var server = new ScriptedServer(replies))
                {
                    await Check.Fails(ErrorCodes.PlayerNotFound, () => server.Client().DeletePlayerAsync("ada"));
                }
            }
        }

        public static async Task Retry_after_is_waited_for()
        {
            string problem = ScriptedServer.Problem("503 Unavailable", "database_unavailable", "Retry-After: 7");
            using (var server = new ScriptedServer(problem, Ok))
            {
                await server.Client().GetHealthAsync();
                double wait = server.Wire.Delays.Single().TotalSeconds;
                Check.True(wait >= 7 && wait < 7.25, "waits 7 seconds and a bit, not " + wait);
            }
        }

        public static async Task Retry_after_may_be_a_date()
        {
            string[] headers = { "Date: Wed, 21 Oct 2015 07:28:00 GMT", "Retry-After: Wed, 21 Oct 2015 07:28:09 GMT" };
            using (var server = new ScriptedServer(ScriptedServer.Problem("429 Too Many", "rate_limited", headers), Ok))
            {
                await server.Client().GetHealthAsync();
                double wait = server.Wire.Delays.Single().TotalSeconds;
                Check.True(wait >= 9 && wait < 9.25, "waits 9 seconds and a bit, not " + wait);
            }
            string past = "Retry-After: Wed, 21 Oct 2015 07:28:09 GMT";
            using (var server = new ScriptedServer(ScriptedServer.Problem("429 Too Many", "rate_limited", past), Ok))
            {
                await server.Client().GetHealthAsync();
                CheckFirstWait(server.Wire.Delays.Single());
            }
        }

        public static async Task A_retry_after_that_is_too_long_is_left_to_the_caller()
        {
            string problem = ScriptedServer.Problem("503 Unavailable", "database_unavailable", "Retry-After: 3600");
            using (var server = new ScriptedServer(problem, Ok))
            {
                GameApiException error = await Check.Fails("database_unavailable", () => server.Client().GetHealthAsync());
                Check.Equal(TimeSpan.FromHours(1), error.RetryAfter);
                Check.Equal(1, server.Received.Count);
            }
        }

        public static async Task A_retry_after_that_makes_no_sense_is_ignored()
        {
            foreach (string value in new[] { "-5", "soon", "1.5", "99999999999999999999", " " })
            {
                string problem = ScriptedServer.Problem("503 Unavailable", "database_unavailable", "Retry-After: " + value);
                using (var server = new ScriptedServer(problem, Ok))
                {
                    await server.Client().GetHealthAsync();
                    CheckFirstWait(server.Wire.Delays.Single());
                }
            }
        }

        public static async Task The_policy_is_configurable()
        {
            using (var server = new ScriptedServer(ScriptedServer.Drop, Ok))
            {
                await Check.Throws<GameApiNetworkException>(
                    () => server.Client(new RetryPolicy { MaxAttempts = 1 }).GetHealthAsync());
                Check.Equal(1, server.Received.Count);
            }
            var policy = new RetryPolicy { BaseDelay = TimeSpan.FromSeconds(8), MaxDelay = TimeSpan.FromSeconds(10), MaxAttempts = 3 };
            using (var server = new ScriptedServer(ScriptedServer.Drop, ScriptedServer.Drop, ScriptedServer.Drop, Ok))
            {
                await Check.Throws<GameApiNetworkException>(() => server.Client(policy).GetHealthAsync());
                Check.Equal(2, server.Wire.Delays.Count);
                Check.True(server.Wire.Delays[1].TotalSeconds <= 10, "the wait is capped");
            }
        }

        public static async Task A_join_whose_response_was_lost_takes_one_seat()
        {
            Session session = await SessionTests.CreateAsync(2);
            Player player = await PlayerTests.CreateAsync();
            var transport = new LossyTransport();
            session = await Service.Connect(transport).JoinSessionAsync(session.SessionId, player.PlayerId);
            Check.Equal("2 1 2", transport.Sent + " " + session.PlayerCount + " " + session.Version);
        }

        public static async Task A_conditional_change_whose_response_was_lost_is_not_repeated()
        {
            Player player = await PlayerTests.CreateAsync();
            var transport = new LossyTransport();
            GameApiClient client = Service.Connect(transport);
            var error = await Check.Throws<GameApiNetworkException>(
                () => client.UpdatePlayerAsync(player.PlayerId, new PlayerUpdate { Rating = 3 }, player.Version));
            Check.Equal("True 1", error.OutcomeUnknown + " " + transport.Sent);
            Check.Equal(player.Version + 1, (await client.GetPlayerAsync(player.PlayerId)).Version);

            await Service.Connect(new LossyTransport()).DeletePlayerAsync(player.PlayerId);
            await Check.Fails(ErrorCodes.PlayerNotFound, () => client.GetPlayerAsync(player.PlayerId));
        }

        public static async Task A_post_whose_response_was_lost_creates_once()
        {
            string name = Service.Unique("lost");
            var transport = new LossyTransport();
            GameApiClient client = Service.Connect(transport);
            Player player = await client.CreatePlayerAsync(new PlayerCreate(name), name);
            Check.Equal("2 1", transport.Sent + " " + player.Version);
            Check.Equal(player.PlayerId, (await client.CreatePlayerAsync(new PlayerCreate(name), name)).PlayerId);
            await Check.Fails(ErrorCodes.UsernameTaken, () => client.CreatePlayerAsync(new PlayerCreate(name)));
        }

        public static async Task A_read_never_has_an_unknown_outcome()
        {
            using (var server = new ScriptedServer(ScriptedServer.Drop))
            {
                var retries = new RetryPolicy { MaxAttempts = 1 };
                var error = await Check.Throws<GameApiNetworkException>(() => server.Client(retries).GetHealthAsync());
                Check.Equal(false, error.OutcomeUnknown);
            }
        }

        private static void CheckFirstWait(TimeSpan wait) =>
            Check.True(
                wait >= TimeSpan.FromMilliseconds(100) && wait <= TimeSpan.FromMilliseconds(200), "the first wait is " + wait);
    }
}
