using System;
using System.Linq;
using System.Threading;
using System.Threading.Tasks;

namespace GameApi.Tests
{
    internal static class ErrorTests
    {
        public static async Task A_refused_join_tells_why()
        {
            Session session = await SessionTests.CreateAsync(1);
            string seated = (await PlayerTests.CreateAsync()).PlayerId;
            await Service.Client.JoinSessionAsync(session.SessionId, seated);
            string late = (await PlayerTests.CreateAsync()).PlayerId;
            GameApiException error = await Check.Fails(
                ErrorCodes.SessionFull, () => Service.Client.JoinSessionAsync(session.SessionId, late));
            Check.Equal(409, error.Status);
            Check.Equal(error.RequestId, error.Problem.RequestId);
            Check.True(error.RequestId.Length > 0 && error.Detail.Length > 0, "the request id and the detail are there");
            Check.True(error.Message.Contains(error.RequestId), "the message has the request id");
            Check.Equal(false, error.OutcomeUnknown);

            Session other = await SessionTests.CreateAsync(2);
            error = await Check.Fails(
                ErrorCodes.AlreadyInSession, () => Service.Client.JoinSessionAsync(other.SessionId, seated));
            Check.Equal(session.SessionId, error.Problem.SessionId);
        }

        public static async Task A_refused_status_tells_what_is_allowed()
        {
            Session session = await SessionTests.CreateAsync(2);
            GameApiException error = await Check.Fails(
                ErrorCodes.IllegalTransition,
                () => Service.Client.UpdateSessionAsync(session.SessionId, new SessionUpdate { Status = SessionStatus.Ended }));
            Check.Equal(SessionStatus.Waiting, error.Problem.From);
            Check.Equal(SessionStatus.Ended, error.Problem.To);
            Check.True(error.Problem.Allowed.Contains(SessionStatus.Starting), "starting is allowed");

            await Service.Client.UpdateSessionAsync(session.SessionId, new SessionUpdate { Status = SessionStatus.Cancelled });
            error = await Check.Fails(
                ErrorCodes.SessionNotJoinable, () => Service.Client.JoinSessionAsync(session.SessionId, "nobody"));
            Check.Equal(SessionStatus.Cancelled, error.Problem.SessionStatus);
        }

        public static async Task A_validation_error_names_the_fields()
        {
            GameApiException error = await Check.Fails(
                ErrorCodes.ValidationError,
                () => Service.Client.CreatePlayerAsync(new PlayerCreate("x") { Rating = -1 }));
            Check.Equal(422, error.Status);
            Check.SameSet(
                new[] { "body.username", "body.rating" },
                error.Problem.Errors.Select(field => string.Join(".", field.Loc)),
                "fields");
            Check.True(error.Problem.Errors.All(field => field.Msg.Length > 0 && field.Type.Length > 0), "each has a text");
        }

        public static async Task A_code_that_is_new_is_passed_on()
        {
            string reply = ScriptedServer.Problem("409 Conflict", "moon_in_the_way", "X-Request-ID: r1");
            using (var server = new ScriptedServer(reply))
            {
                GameApiException error = await Check.Fails(
                    "moon_in_the_way", () => server.Client().GetPlayerAsync("x"));
                Check.Equal("409 d r1", error.Status + " " + error.Detail + " " + error.RequestId);
            }
        }

        public static async Task An_error_that_is_no_problem_is_one_of_the_client()
        {
            const string page = "<html>I am a proxy</html>";
            foreach (string body in new[] { page, string.Empty, "[1]", "{}", "{\"code\":", "null" })
            {
                using (var server = new ScriptedServer(ScriptedServer.Reply("403 Forbidden", body)))
                {
                    GameApiException error = await Check.Fails(
                        ErrorCodes.UnexpectedResponse, () => server.Client().GetPlayerAsync("x"));
                    Check.Equal(403, error.Status);
                    Check.Equal(body, error.ResponseBody);
                    Check.Equal(null, error.Problem);
                }
            }
        }

        public static async Task A_problem_with_members_of_other_types_is_still_a_problem()
        {
            const string body = "{\"code\":\"x\",\"status\":\"?\",\"errors\":[1,{\"loc\":[\"body\",0,null]}],\"allowed\":{},"
                + "\"current_version\":\"3\",\"session_id\":7,\"detail\":{},\"title\":null}";
            using (var server = new ScriptedServer(ScriptedServer.Reply("418 Teapot", body)))
            {
                GameApiException error = await Check.Fails("x", () => server.Client().GetPlayerAsync("x"));
                Check.Equal(null, error.Problem.Status);
                Check.Equal(null, error.Problem.CurrentVersion);
                Check.Equal(null, error.Problem.SessionId);
                Check.Equal("body,0,", string.Join(",", error.Problem.Errors.Single().Loc));
            }
        }

        public static async Task A_success_that_is_none_of_the_service_is_an_error()
        {
            foreach (string body in new[] { "<html>Sign in to the WLAN</html>", "{}", "{\"player_id\":1}" })
            {
                using (var server = new ScriptedServer(ScriptedServer.Reply("200 OK", body)))
                {
                    GameApiException error = await Check.Fails(
                        ErrorCodes.UnexpectedResponse, () => server.Client().GetPlayerAsync("x"));
                    Check.Equal(200, error.Status);
                }
            }
        }

        public static async Task A_service_that_is_not_there_is_a_network_error()
        {
            var server = new ScriptedServer();
            GameApiClient client = server.Client();
            server.Dispose();
            var error = await Check.Throws<GameApiNetworkException>(() => client.GetHealthAsync());
            Check.Equal(ErrorCodes.NetworkError + " 0", error.Code + " " + error.Status);
            Check.Equal(3, server.Wire.Delays.Count);
        }

        public static async Task A_body_that_ends_early_is_a_network_error()
        {
            string reply = ScriptedServer.Reply("200 OK", "{\"status\":\"ok\"}").Replace("Content-Length: 1", "Content-Length: 9");
            using (var server = new ScriptedServer(reply))
            {
                var retries = new RetryPolicy { MaxAttempts = 1 };
                await Check.Throws<GameApiNetworkException>(() => server.Client(retries).GetHealthAsync());
            }
        }

        public static async Task A_service_that_hangs_is_a_network_error()
        {
            using (var server = new ScriptedServer(ScriptedServer.Hang))
            {
                var transport = new HttpClientTransport { Timeout = TimeSpan.FromMilliseconds(300) };
                var client = new GameApiClient(server.Url, transport, new RetryPolicy { MaxAttempts = 1 });
                Task<Health> call = client.GetHealthAsync();
                await Task.WhenAny(call, Task.Delay(TimeSpan.FromSeconds(20)));
                Check.True(call.IsCompleted, "the call does not wait for the service");
                await Check.Throws<GameApiNetworkException>(() => call);
            }
        }

        public static async Task A_cancelled_call_is_cancelled_and_not_an_error()
        {
            using (var server = new ScriptedServer(ScriptedServer.Hang))
            {
                var source = new CancellationTokenSource();
                Task<Health> call = server.Client().GetHealthAsync(source.Token);
                source.Cancel();
                await Check.Throws<OperationCanceledException>(() => call);
                Check.Equal(0, server.Wire.Delays.Count);
            }
        }

        public static async Task A_cancelled_wait_is_cancelled()
        {
            using (var server = new ScriptedServer(ScriptedServer.Problem("503 Unavailable", "database_unavailable", "Retry-After: 20")))
            {
                var source = new CancellationTokenSource();
                var client = new GameApiClient(server.Url, new HttpClientTransport());
                Task<Health> call = client.GetHealthAsync(source.Token);
                source.CancelAfter(200);
                await Check.Throws<OperationCanceledException>(() => call);
            }
        }

        public static async Task The_url_must_be_one_of_http()
        {
            foreach (string url in new[] { null, string.Empty, "game.example.com", "ftp://game.example.com", "/api" })
            {
                await Check.Throws<ArgumentException>(
                    () => Task.FromResult(new GameApiClient(url, new HttpClientTransport())));
            }
            string found = (await new GameApiClient(Service.Url + "/", new HttpClientTransport()).GetHealthAsync()).Status;
            Check.Equal("ok", found);
        }
    }
}
