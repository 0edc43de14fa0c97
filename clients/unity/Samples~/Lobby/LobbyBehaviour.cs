using System;
using System.Threading;
using System.Threading.Tasks;
using UnityEngine;

namespace GameApi.Samples
{
    /// <summary>
    /// Add this to an object of a scene, set the URL and, if the service needs one, a token, and run the scene in two places with two usernames: the players
    /// meet in one session, and the match starts.
    /// </summary>
    public sealed class LobbyBehaviour : MonoBehaviour
    {
        private readonly CancellationTokenSource destroyed = new CancellationTokenSource();

        [SerializeField]
        private string url = "http://127.0.0.1:8000";

        [SerializeField]
        private string accessToken = string.Empty;

        [SerializeField]
        private string username = "ada";

        [SerializeField]
        private string gameMode = "duel";

        private Lobby lobby;

        // An async void method must catch everything itself, because nobody awaits it.
        private async void Start()
        {
            try
            {
                await PlayAsync(destroyed.Token);
            }
            catch (OperationCanceledException)
            {
                Debug.Log("The lobby was closed.");
            }
            catch (GameApiException error)
            {
                Debug.LogError(error.Message);
            }
        }

        private void OnDestroy() => destroyed.Cancel();

        private async Task PlayAsync(CancellationToken token)
        {
            var transport = new UnityWebRequestTransport();
            // A game gets the token when the player logs in: new TokenSource(LogInAsync).
            TokenSource tokens = accessToken.Length == 0 ? null : new TokenSource(accessToken);
            var client = new GameApiClient(url, transport, null, tokens);
            lobby = new Lobby(client, gameMode, message => Debug.Log(message));
            await lobby.EnterAsync(username, token);
            await lobby.GetReadyAsync(token);
            while (lobby.Session.Status == SessionStatus.Waiting)
            {
                await transport.DelayAsync(TimeSpan.FromSeconds(1), token);
                await lobby.RefreshAsync(token);
                bool isHost = lobby.Session.HostPlayerId == lobby.Player.PlayerId;
                if (isHost && lobby.Session.FreeSlots == 0)
                {
                    await lobby.StartAsync(token);
                }
            }
        }
    }
}
