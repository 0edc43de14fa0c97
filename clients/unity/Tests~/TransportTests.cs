using System;
using System.Collections.Generic;
using System.Threading;
using System.Threading.Tasks;
using UnityEngine.Networking;

namespace GameApi.Tests
{
    /// <summary>How the transports set up their requests; that for Unity with the types of <c>UnityStandIn.cs</c>.</summary>
    internal static class TransportTests
    {
        private static readonly TimeSpan Infinite = Timeout.InfiniteTimeSpan;

        public static async Task The_timeout_is_rounded_up_and_can_be_infinite()
        {
            var expected = new Dictionary<TimeSpan, int>
            {
                { TimeSpan.FromSeconds(10), 10 }, { TimeSpan.FromSeconds(1.2), 2 }, { TimeSpan.FromMilliseconds(1), 1 },
                { TimeSpan.Zero, 1 }, { Infinite, 0 }, { TimeSpan.MaxValue, 0 }, { TimeSpan.FromDays(25), 0 },
            };
            foreach (KeyValuePair<TimeSpan, int> seconds in expected)
            {
                await SendAsync(new UnityWebRequestTransport { Timeout = seconds.Key });
                Check.Equal(seconds.Value, UnityWebRequest.Last.timeout, "seconds of " + seconds.Key);
            }
            await SendAsync(new UnityWebRequestTransport());
            Check.Equal(10, UnityWebRequest.Last.timeout, "seconds by default");
        }

        public static async Task An_infinite_timeout_of_http_client_is_no_limit()
        {
            foreach (TimeSpan timeout in new[] { Infinite, TimeSpan.MaxValue })
            {
                var client = new GameApiClient(Service.Url, new HttpClientTransport { Timeout = timeout });
                Check.Equal("ok", (await client.GetHealthAsync()).Status);
            }
        }

        public static async Task Unity_follows_no_redirection()
        {
            UnityWebRequest.NextResult = UnityWebRequest.Result.ConnectionError;
            UnityWebRequest.NextStatus = 307;
            TransportResponse response = await SendAsync(new UnityWebRequestTransport());
            Check.Equal("0 307", UnityWebRequest.Last.redirectLimit + " " + response.Status);
            UnityWebRequest.NextStatus = 0;
            await Check.Throws<GameApiNetworkException>(() => SendAsync(new UnityWebRequestTransport()));
            UnityWebRequest.NextResult = UnityWebRequest.Result.Success;
        }

        private static async Task<TransportResponse> SendAsync(UnityWebRequestTransport transport)
        {
            var recording = new RecordingTransport(transport);
            var client = new GameApiClient("http://game.example.com", recording, new RetryPolicy { MaxAttempts = 1 });
            try
            {
                await client.GetHealthAsync();
            }
            catch (GameApiException error) when (!(error is GameApiNetworkException))
            {
                // The stand-in has no body.
            }
            return recording.Responses[0];
        }
    }
}
