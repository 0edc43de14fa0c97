using System;
using System.Globalization;
using System.Threading;
using System.Threading.Tasks;
using GameApi.Json;
using Newtonsoft.Json;
using Newtonsoft.Json.Linq;

namespace GameApi
{
    /// <summary>
    /// A client of one game-api service. Its methods are named after the operations of the service, and throw
    /// <see cref="GameApiException"/> if a call fails. Create one client and keep it.
    /// </summary>
    /// <remarks>
    /// All methods continue in the context of their caller: called on Unity's main thread, they return there. Never
    /// block on their tasks with <c>Wait()</c> or <c>Result</c>; await them.
    /// </remarks>
    public sealed partial class GameApiClient
    {
        private readonly string baseUrl;
        private readonly ITransport transport;
        private readonly RetryPolicy retries;
        private readonly TokenSource tokens;

        /// <summary>A client of the service at a URL.</summary>
        /// <param name="baseUrl">The URL without <c>/api/v1</c>, for example <c>https://game.example.com</c>.</param>
        /// <param name="transport">Unity's <c>UnityWebRequestTransport</c>, or <see cref="HttpClientTransport"/>.</param>
        /// <param name="retries">When calls are repeated; null for the default.</param>
        /// <param name="tokens">Where the token of the caller comes from; null for a service that needs none.</param>
        public GameApiClient(
            string baseUrl, ITransport transport, RetryPolicy retries = null, TokenSource tokens = null)
        {
            Uri uri;
            if (!Uri.TryCreate(baseUrl, UriKind.Absolute, out uri)
                || (uri.Scheme != Uri.UriSchemeHttp && uri.Scheme != Uri.UriSchemeHttps))
            {
                throw new ArgumentException("The URL must begin with http:// or https://.", nameof(baseUrl));
            }
            this.baseUrl = baseUrl.TrimEnd('/');
            this.transport = transport ?? throw new ArgumentNullException(nameof(transport));
            this.retries = retries ?? new RetryPolicy();
            this.tokens = tokens;
        }

        /// <summary>Asks whether the service is up. This does not ask its database, and sends no token.</summary>
        public async Task<Health> GetHealthAsync(CancellationToken cancellationToken = default) =>
            Read(await SendAsync("GET", "/health", null, cancellationToken), json => new Health(json));

        private static string PlayerPath(string playerId) =>
            "/api/v1/players/" + PathSegment(playerId, nameof(playerId));

        private static string SessionPath(string sessionId) =>
            "/api/v1/sessions/" + PathSegment(sessionId, nameof(sessionId));

        private static string SeatPath(string sessionId, string playerId) =>
            SessionPath(sessionId) + "/players/" + PathSegment(playerId, nameof(playerId));

        private static string PathSegment(string id, string parameter)
        {
            // An empty id, and the dots that URLs resolve, would call another operation.
            if (string.IsNullOrEmpty(id) || id == "." || id == "..")
            {
                throw new ArgumentException("'" + id + "' is not an id.", parameter);
            }
            return Uri.EscapeDataString(id);
        }

        private static T Read<T>(TransportResponse response, Func<JObject, T> read)
            where T : class
        {
            try
            {
                return read(JsonReading.ParseObject(response.Body));
            }
            catch (FormatException error)
            {
                throw GameApiException.Unexpected(response, error.Message, error);
            }
        }

        private static string Quoted(long version) => "\"" + version.ToString(CultureInfo.InvariantCulture) + "\"";

        private async Task<T> GetAsync<T>(
            string path, long? ifNoneMatch, Func<JObject, T> read, CancellationToken cancellationToken)
            where T : class
        {
            var request = new TransportRequest("GET", baseUrl + path, null);
            if (ifNoneMatch != null)
            {
                request.Headers["If-None-Match"] = Quoted(ifNoneMatch.Value);
            }
            TransportResponse response = await SendAsync(request, cancellationToken);
            return response.Status == 304 ? null : Read(response, read);
        }

        private Task<TransportResponse> PostAsync(
            string path, JObject body, string idempotencyKey, CancellationToken cancellationToken)
        {
            var request = new TransportRequest("POST", baseUrl + path, body.ToString(Formatting.None));
            request.Headers["Idempotency-Key"] = IdempotencyKey.Checked(idempotencyKey) ?? IdempotencyKey.Create();
            return SendAsync(request, cancellationToken);
        }

        private Task<TransportResponse> SendAsync(
            string method, string path, JObject body, CancellationToken cancellationToken, long? ifMatch = null)
        {
            var request = new TransportRequest(method, baseUrl + path, body?.ToString(Formatting.None));
            if (ifMatch != null)
            {
                request.Headers["If-Match"] = Quoted(ifMatch.Value);
            }
            return SendAsync(request, cancellationToken);
        }

        private async Task<TransportResponse> SendAsync(
            TransportRequest request, CancellationToken cancellationToken)
        {
            request.Headers["Accept"] = "application/json, application/problem+json";
            var attempts = new Attempts(request, retries);
            // The health of the service can be read without a token.
            bool needsToken = tokens != null && request.Url.StartsWith(baseUrl + "/api/", StringComparison.Ordinal);
            while (true)
            {
                string token = needsToken ? await tokens.GetAsync(cancellationToken) : null;
                GameApiException failure;
                try
                {
                    return await SendOnceAsync(request, token, cancellationToken);
                }
                catch (GameApiException error)
                {
                    failure = error;
                }
                if (token != null && attempts.MayReplaceToken(failure)
                    && await tokens.ReplaceAsync(token, cancellationToken))
                {
                    continue;
                }
                if (attempts.HasDeleted(failure))
                {
                    return new TransportResponse(204, null, null);
                }
                TimeSpan? delay = attempts.DelayAfter(failure);
                if (delay == null)
                {
                    throw failure;
                }
                await transport.DelayAsync(delay.Value, cancellationToken);
            }
        }

        private async Task<TransportResponse> SendOnceAsync(
            TransportRequest request, string token, CancellationToken cancellationToken)
        {
            if (token != null)
            {
                request.Headers["Authorization"] = "Bearer " + token;
            }
            TransportResponse response = await transport.SendAsync(request, cancellationToken);
            bool isKnown = response.Status == 304 && request.Headers.ContainsKey("If-None-Match");
            if (isKnown || (response.Status >= 200 && response.Status < 300))
            {
                return response;
            }
            throw GameApiException.From(response);
        }
    }
}
