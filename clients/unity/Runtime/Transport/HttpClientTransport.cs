using System;
using System.Collections.Generic;
using System.IO;
using System.Net.Http;
using System.Text;
using System.Threading;
using System.Threading.Tasks;

namespace GameApi
{
    /// <summary>
    /// Sends requests with <see cref="HttpClient"/>: for dedicated servers, tools and tests. It does not work on
    /// WebGL. A transport and its <see cref="HttpClient"/> are meant to live as long as the process.
    /// </summary>
    public sealed class HttpClientTransport : ITransport
    {
        private readonly HttpClient http;

        /// <summary>
        /// A transport with a new <see cref="HttpClient"/>, or with yours, which you dispose of. Turn
        /// <see cref="HttpClientHandler.AllowAutoRedirect"/> off in yours.
        /// </summary>
        public HttpClientTransport(HttpClient http = null)
        {
            this.http = http ?? new HttpClient(new HttpClientHandler { AllowAutoRedirect = false })
            {
                Timeout = System.Threading.Timeout.InfiniteTimeSpan,
            };
        }

        /// <summary>
        /// How long one attempt may take. By default 10 seconds; a negative time or one of more than 24 days is no
        /// limit.
        /// </summary>
        public TimeSpan Timeout { get; set; } = TimeSpan.FromSeconds(10);

        /// <inheritdoc/>
        public async Task<TransportResponse> SendAsync(
            TransportRequest request, CancellationToken cancellationToken)
        {
            using (var deadline = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken))
            {
                if (Timeout >= TimeSpan.Zero && Timeout.TotalMilliseconds <= int.MaxValue)
                {
                    deadline.CancelAfter(Timeout);
                }
                try
                {
                    return await SendOnceAsync(request, deadline.Token);
                }
                catch (OperationCanceledException error) when (!cancellationToken.IsCancellationRequested)
                {
                    throw new GameApiNetworkException("No response arrived in time.", error);
                }
                catch (HttpRequestException error)
                {
                    throw new GameApiNetworkException((error.InnerException ?? error).Message, error);
                }
                catch (IOException error)
                {
                    throw new GameApiNetworkException(error.Message, error);
                }
            }
        }

        /// <inheritdoc/>
        public Task DelayAsync(TimeSpan delay, CancellationToken cancellationToken) =>
            Task.Delay(delay, cancellationToken);

        private async Task<TransportResponse> SendOnceAsync(TransportRequest request, CancellationToken token)
        {
            using (var message = new HttpRequestMessage(new HttpMethod(request.Method), request.Url))
            {
                foreach (KeyValuePair<string, string> header in request.Headers)
                {
                    message.Headers.TryAddWithoutValidation(header.Key, header.Value);
                }
                if (request.Body != null)
                {
                    message.Content = new StringContent(request.Body, Encoding.UTF8, "application/json");
                }
                using (HttpResponseMessage response = await http.SendAsync(message, token))
                {
                    byte[] body = await response.Content.ReadAsByteArrayAsync();
                    var headers = new Dictionary<string, string>();
                    foreach (KeyValuePair<string, IEnumerable<string>> header in response.Headers)
                    {
                        headers[header.Key] = string.Join(", ", header.Value);
                    }
                    return new TransportResponse(
                        (int)response.StatusCode, headers, Encoding.UTF8.GetString(body));
                }
            }
        }
    }
}
