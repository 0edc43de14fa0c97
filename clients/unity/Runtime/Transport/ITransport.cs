using System;
using System.Threading;
using System.Threading.Tasks;

namespace GameApi
{
    /// <summary>Sends requests, and waits between them, by the means of the platform.</summary>
    public interface ITransport
    {
        /// <summary>
        /// Sends one request once, and follows no redirection, which could take the token of the caller to another
        /// service. Returns the response whatever its status, and throws
        /// <see cref="GameApiNetworkException"/> if none arrives, and <see cref="OperationCanceledException"/> if
        /// the token is cancelled.
        /// </summary>
        Task<TransportResponse> SendAsync(TransportRequest request, CancellationToken cancellationToken);

        /// <summary>Waits. This is not <c>Task.Delay</c> everywhere, because WebGL has no timer threads.</summary>
        Task DelayAsync(TimeSpan delay, CancellationToken cancellationToken);
    }
}
