using System;
using System.Collections.Generic;
using System.Linq;
using System.Threading.Tasks;

namespace GameApi.Tests
{
    internal static class RetryTests
    {
        private static readonly string Ok = ScriptedServer.Reply("200 OK", "{\"status\":\"ok\",\"version\":\"1\",\"commit\":\"c\"}");

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
                List<double> waits = server.Wire.Delays.Select(delay => delay.TotalSeconds).ToList();
                Check.Equal(3, waits.Count);
                for (int index = 0; index < 3; index++)
                {
                    double longest = 0.25 * Math.Pow(2, index);
                    Check.True(waits[index] >= longest / 2 && waits[index] <= longest, "wait " + waits[index]);
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
                await server.Client().DeletePlayerAsync("x", 7);
                Check.Equal(2, server.Received.Count);
                Check.True(server.Received.All(request => request.Contains("If-Match: \"7\"\r\n")), "both have the version");
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

        public static async Task Post_and_patch_are_never_repeated()
        {
            foreach (string reply in new[] { ScriptedServer.Drop, ScriptedServer.Problem("503 Unavailable", "database_unavailable") })
            {
                foreach (Func<GameApiClient, Task> call in new Func<GameApiClient, Task>[]
                {
                    client => client.CreatePlayerAsync(new PlayerCreate("ada")),
                    client => client.CreateSessionAsync(new SessionCreate("s", "duel", 2)),
                    client => client.JoinSessionAsPartyAsync("s", new PartyJoin("ada")),
                    client => client.UpdateMemberAsync("s", "ada", new MemberUpdate { Ready = true }),
                })
                {
                    using (var server = new ScriptedServer(reply, Ok))
                    {
                        var error = await Check.Throws<GameApiException>(() => call(server.Client()));
                        Check.Equal(0, server.Wire.Delays.Count);
                        Check.Equal(1, server.Wire.Requests.Count);
                        Check.Equal(true, error.OutcomeUnknown);
                    }
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
                Check.True(wait >= 7 && wait <= 7.25, "waits 7 seconds and a bit, not " + wait);
            }
        }

        public static async Task Retry_after_may_be_a_date()
        {
            string[] headers = { "Date: Wed, 21 Oct 2015 07:28:00 GMT", "Retry-After: Wed, 21 Oct 2015 07:28:09 GMT" };
            using (var server = new ScriptedServer(ScriptedServer.Problem("429 Too Many", "rate_limited", headers), Ok))
            {
                await server.Client().GetHealthAsync();
                double wait = server.Wire.Delays.Single().TotalSeconds;
                Check.True(wait >= 9 && wait <= 9.25, "waits 9 seconds and a bit, not " + wait);
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
            session = await new GameApiClient(Service.Url, transport).JoinSessionAsync(session.SessionId, player.PlayerId);
            Check.Equal("2 1 2", transport.Sent + " " + session.PlayerCount + " " + session.Version);
        }

        public static async Task A_repeated_change_may_meet_its_own_version()
        {
            Player player = await PlayerTests.CreateAsync();
            var client = new GameApiClient(Service.Url, new LossyTransport());
            GameApiException error = await Check.Fails(
                ErrorCodes.VersionMismatch,
                () => client.UpdatePlayerAsync(player.PlayerId, new PlayerUpdate { Rating = 3 }, player.Version));
            Check.Equal(true, error.OutcomeUnknown);
            Check.Equal(player.Version + 1, error.Problem.CurrentVersion);

            client = new GameApiClient(Service.Url, new LossyTransport());
            error = await Check.Fails(ErrorCodes.PlayerNotFound, () => client.DeletePlayerAsync(player.PlayerId));
            Check.Equal(true, error.OutcomeUnknown);
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
            Check.True(wait.TotalSeconds >= 0.125 && wait.TotalSeconds <= 0.25, "the first wait is " + wait);
    }
}
