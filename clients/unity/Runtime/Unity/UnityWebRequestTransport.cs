#if UNITY_2021_3_OR_NEWER
using System;
using System.Collections.Generic;
using System.Text;
using System.Threading;
using System.Threading.Tasks;
using UnityEngine;
using UnityEngine.Networking;

namespace GameApi
{
    /// <summary>
    /// Sends requests with <see cref="UnityWebRequest"/>, on every platform of Unity including WebGL. Call the
    /// client on the main thread; no other thread is used.
    /// </summary>
    public sealed class UnityWebRequestTransport : ITransport
    {
        /// <summary>
        /// How long one attempt may take, rounded up to seconds. By default 10 seconds; a negative time or one of
        /// more than 24 days is no limit.
        /// </summary>
        public TimeSpan Timeout { get; set; } = TimeSpan.FromSeconds(10);

        /// <inheritdoc/>
        public async Task<TransportResponse> SendAsync(
            TransportRequest request, CancellationToken cancellationToken)
        {
            cancellationToken.ThrowIfCancellationRequested();
            using (UnityWebRequest web = Prepare(request))
            {
                var completed = new TaskCompletionSource<bool>();
                Action abort = () =>
                {
                    // The cancellation reaches the main thread later, perhaps when the request is disposed of.
                    if (!completed.Task.IsCompleted)
                    {
                        web.Abort();
                    }
                };
                using (cancellationToken.Register(abort, useSynchronizationContext: true))
                {
                    web.SendWebRequest().completed += _ => completed.TrySetResult(true);
                    await completed.Task;
                }
                // Unity reports a redirection that it must not follow as an error, but it is a response.
                bool isRedirection = web.responseCode >= 300 && web.responseCode < 400;
                if (!isRedirection && (web.result == UnityWebRequest.Result.ConnectionError
                    || web.result == UnityWebRequest.Result.DataProcessingError))
                {
                    cancellationToken.ThrowIfCancellationRequested();
                    throw new GameApiNetworkException(web.error);
                }
                return new TransportResponse(
                    (int)web.responseCode, web.GetResponseHeaders(), web.downloadHandler.text);
            }
        }

        /// <inheritdoc/>
        public async Task DelayAsync(TimeSpan delay, CancellationToken cancellationToken)
        {
            // Task.Delay needs a timer thread, which WebGL does not have. Task.Yield continues in the next frame.
            double end = Time.realtimeSinceStartupAsDouble + delay.TotalSeconds;
            while (Time.realtimeSinceStartupAsDouble < end)
            {
                cancellationToken.ThrowIfCancellationRequested();
                await Task.Yield();
            }
        }

        private UnityWebRequest Prepare(TransportRequest request)
        {
            var web = new UnityWebRequest(request.Url, request.Method)
            {
                downloadHandler = new DownloadHandlerBuffer(),
                timeout = TimeoutSeconds(),
                redirectLimit = 0,
            };
            if (request.Body != null)
            {
                web.uploadHandler = new UploadHandlerRaw(Encoding.UTF8.GetBytes(request.Body))
                {
                    contentType = "application/json",
                };
            }
            foreach (KeyValuePair<string, string> header in request.Headers)
            {
                web.SetRequestHeader(header.Key, header.Value);
            }
            return web;
        }

        /// <summary>The timeout as Unity takes it: whole seconds, and 0 for no limit.</summary>
        private int TimeoutSeconds()
        {
            bool isLimited = Timeout >= TimeSpan.Zero && Timeout.TotalMilliseconds <= int.MaxValue;
            return isLimited ? Math.Max(1, (int)Math.Ceiling(Timeout.TotalSeconds)) : 0;
        }
    }
}
#endif
